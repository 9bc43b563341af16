package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"pannier/engine"
)

// maxConfigBytes bounds what is read of a configuration file.
const maxConfigBytes = 1 << 20

// fileSettings are the values of a configuration file by key, as text that kong parses
// like a flag's, and the lanes.
type fileSettings struct {
	values map[string]string
	lanes  []engine.LaneConfig
}

// configDocument is the shape of the file: decoding into it finds unknown and repeated
// keys and values of the wrong type.
type configDocument struct {
	Config `yaml:",inline"`
	Lanes  []laneDocument `yaml:"lanes"`
}

// readConfigFile reads the YAML file at path. Errors are one line and name the line.
func readConfigFile(path string) (fileSettings, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return fileSettings{}, fmt.Errorf("--config: %w", err)
	}
	defer file.Close() //nolint:errcheck // it is only read
	text, err := io.ReadAll(io.LimitReader(file, maxConfigBytes+1))
	if err != nil {
		return fileSettings{}, fmt.Errorf("--config: %w", err)
	}
	if len(text) > maxConfigBytes {
		return fileSettings{}, fmt.Errorf("%s: over %d bytes", path, maxConfigBytes)
	}
	settings, err := parseConfigFile(text)
	if err != nil {
		return fileSettings{}, fmt.Errorf("%s: %w", path, err)
	}
	return settings, nil
}

// parseConfigFile reads one YAML document.
func parseConfigFile(text []byte) (fileSettings, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var document configDocument
	if err := decoder.Decode(&document); err != nil && !errors.Is(err, io.EOF) {
		return fileSettings{}, blame(text, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return fileSettings{}, errors.New("more than one YAML document")
	}
	var members map[string]yaml.Node
	if err := yaml.Unmarshal(text, &members); err != nil {
		return fileSettings{}, plainYAMLError(err)
	}
	values := make(map[string]string, len(members))
	for name, node := range members {
		if name == "lanes" {
			continue
		}
		if value, given := flagText(&node); given {
			values[name] = value
		}
	}
	lanes, err := configuredLanes(document.Lanes)
	return fileSettings{values: values, lanes: lanes}, err
}

// flagText is the value of node as it would be written after a flag; given is false for
// a key without a value.
func flagText(node *yaml.Node) (text string, given bool) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind == yaml.SequenceNode {
		items := make([]string, 0, len(node.Content))
		for _, item := range node.Content {
			items = append(items, item.Value)
		}
		return strings.Join(items, ","), len(items) > 0
	}
	return node.Value, node.Tag != "!!null"
}

var (
	unknownKey = regexp.MustCompile(`field (\S+) not found in type \S+`)
	wrongType  = regexp.MustCompile("cannot unmarshal !!\\w+ (?:`(.*)` )?into (\\S+)")
	lineOf     = regexp.MustCompile(`^line (\d+): `)
)

// kinds says what a value of a Go type looks like in the file.
var kinds = map[string]string{
	"time.Duration": "a duration, as 90s or 72h", "bool": "true or false", "int": "a whole number",
	"float64": "a number", "string": "text", "[]string": "a list", "netip.Prefix": "a range, as 10.0.0.0/8",
	"[]netip.Prefix": "a list of ranges", "[]main.laneDocument": "a list of lanes", "main.laneDocument": "a lane",
	"main.configDocument": "keys with values",
}

// blame finds the key whose value err is about and names it with its line; err alone says
// enough where it is about the keys themselves.
func blame(text []byte, err error) error {
	var root yaml.Node
	if yaml.Unmarshal(text, &root) != nil || len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
		return plainYAMLError(err)
	}
	pairs := root.Content[0].Content
	for n := 0; n+1 < len(pairs); n += 2 {
		alone := yaml.Node{Kind: yaml.MappingNode, Content: pairs[n : n+2]}
		reason := alone.Decode(new(configDocument))
		if reason == nil {
			continue
		}
		plain, line := plainYAMLError(reason).Error(), strconv.Itoa(pairs[n].Line)
		if found := lineOf.FindStringSubmatch(plain); found != nil {
			plain, line = plain[len(found[0]):], found[1]
		}
		return fmt.Errorf("line %s: %s: %s", line, pairs[n].Value, plain)
	}
	return plainYAMLError(err)
}

// plainYAMLError is the first error of the decoder in the operator's words, without the
// names of Go types.
func plainYAMLError(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	var several *yaml.TypeError
	if errors.As(err, &several) && len(several.Errors) > 0 {
		text = several.Errors[0]
	}
	text = unknownKey.ReplaceAllString(text, "unknown key $1")
	found := wrongType.FindStringSubmatch(text)
	if found == nil {
		return errors.New(text)
	}
	subject, kind := "it", kinds[found[2]]
	if found[1] != "" {
		subject = found[1]
	}
	return errors.New(strings.Replace(text, found[0], fmt.Sprintf("%s is not %s", subject, cmp.Or(kind, "a value of this key")), 1))
}
