package link

import (
	"encoding/base64"
	"reflect"
	"time"

	"pgregory.net/rapid"

	"pannier/cluster/protocol"
	"pannier/engine"
	"pannier/engine/signature"
)

// drawEnvelope fills every field, and carries up to three messages of a kind.
func drawEnvelope(t *rapid.T, number int) (e protocol.Envelope) {
	draw(t, reflect.ValueOf(&e).Elem())
	for range rapid.IntRange(0, 3).Draw(t, "messages") {
		m := reflect.New(kinds[number].message.Elem())
		draw(t, m.Elem())
		e.Messages = append(e.Messages, m.Interface().(protocol.Message))
	}
	return e
}

// draw sets v and all that is in it. Empty lists are nil, as decoding makes them, and an int is
// small enough for a shard.
func draw(t *rapid.T, v reflect.Value) {
	switch special := v.Addr().Interface().(type) {
	case *time.Time:
		if rapid.Bool().Draw(t, "has a time") {
			*special = time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanoseconds")).UTC()
		}
		return
	case *signature.Secret:
		key := rapid.SliceOfN(rapid.Byte(), engine.MinSecretBytes, engine.MaxSecretBytes).Draw(t, "key")
		secret, err := signature.ParseSecret("whsec_" + base64.StdEncoding.EncodeToString(key))
		if err != nil {
			t.Fatal(err)
		}
		*special = secret
		return
	case *[]protocol.Message:
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			draw(t, field)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		draw(t, v.Elem())
	case reflect.Slice:
		for range rapid.IntRange(0, 4).Draw(t, "items") {
			item := reflect.New(v.Type().Elem()).Elem()
			draw(t, item)
			v.Set(reflect.Append(v, item))
		}
	case reflect.Map:
		if texts := rapid.MapOfN(rapid.String(), rapid.String(), 0, 4).Draw(t, "map"); len(texts) > 0 {
			v.Set(reflect.ValueOf(texts))
		}
	case reflect.String:
		v.SetString(rapid.String().Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "truth"))
	case reflect.Int:
		v.SetInt(rapid.Int64Range(0, engine.Shards-1).Draw(t, "count"))
	case reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "signed number"))
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Byte().Draw(t, "byte")))
	case reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, "number"))
	case reflect.Float64:
		v.SetFloat(rapid.Float64().Draw(t, "fraction"))
	default:
		t.Fatalf("no values for a %s", v.Type())
	}
}
