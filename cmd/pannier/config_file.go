package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
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
	file, err := os.Open(path)
	if err != nil {
		return fileSettings{}, fmt.Errorf("--config: %w", err)
	}
	defer file.Close()
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
		return fileSettings{}, plainYAMLError(err)
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

var unknownKey = regexp.MustCompile(`field (\S+) not found in type \S+`)

// plainYAMLError is the first error of the decoder in the operator's words, without the
// names of Go types.
func plainYAMLError(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	var several *yaml.TypeError
	if errors.As(err, &several) && len(several.Errors) > 0 {
		text = several.Errors[0]
	}
	return errors.New(unknownKey.ReplaceAllString(text, "unknown key $1"))
}
