package engine_test

import (
	"errors"
	"slices"
	"testing"

	"pannier/engine"
)

func TestReady(t *testing.T) {
	t.Parallel()
	full := &engine.Error{Code: engine.CodeStorageFull, Message: "the storage is full", Err: errors.New("12 bytes free")}
	tests := []struct {
		name     string
		unready  func() error
		warnings func() []string
		want     engine.Readiness
	}{
		{"nothing to say", nil, nil, engine.Readiness{Ready: true}},
		{"room on the disk", func() error { return nil }, nil, engine.Readiness{Ready: true}},
		{"disk full", func() error { return full }, nil, engine.Readiness{Reasons: []string{"the storage is full"}}},
		{"unknown cause", func() error { return errors.New("/secret/path") }, nil, engine.Readiness{Reasons: []string{"an internal error"}}},
		{"damage", nil, func() []string { return []string{"lane shared: records 3 to 4 are damaged"} }, engine.Readiness{
			Ready: true, Warnings: []string{"lane shared: records 3 to 4 are damaged"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := engine.New(engine.Options{Table: engine.NewTable(nil), Unready: tt.unready, Warnings: tt.warnings}).Ready()
			if got.Ready != tt.want.Ready || !slices.Equal(got.Reasons, tt.want.Reasons) || !slices.Equal(got.Warnings, tt.want.Warnings) {
				t.Errorf("Ready = %+v, want %+v", got, tt.want)
			}
		})
	}
}
