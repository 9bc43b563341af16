package api

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsHTML string

var docsTemplate = template.Must(template.New("docs").Parse(docsHTML))

// docsModel is the OpenAPI document in the order and the words of a page for people.
type docsModel struct {
	Title, Version, Introduction string
	Groups                       []docsGroup
	Schemas                      []docsSchema
	Problems                     []problemRow
}

type docsGroup struct {
	Name, Description string
	Operations        []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary string
	Roles                     string // "" needs no key
	Parameters                []docsMember
	Bodies                    []docsContent
	Required                  bool // the body
	Answers                   []docsAnswer
	Refusals                  []docsAnswer
}

type docsMember struct {
	Name, In, Type, Description string
	Link                        string // the schema it is made of
	Required                    bool
}

type docsContent struct {
	Media, Type, Link, Example string
}

type docsAnswer struct {
	Status, Description string
	Contents            []docsContent
	Headers             []string
}

type docsSchema struct {
	Name    string
	Members []docsMember
}

// renderDocs makes the page /docs; every operation is registered by then. It holds no
// script and fetches nothing, so it works offline and cannot leak a key.
func renderDocs(document *huma.OpenAPI) []byte {
	model := docsModel{
		Title: document.Info.Title, Version: document.Info.Version, Introduction: document.Info.Description,
		Problems: problemRows(),
	}
	for _, tag := range document.Tags {
		group := docsGroup{Name: tag.Name, Description: tag.Description}
		for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
			for _, op := range operationsOf(document.Paths[path]) {
				if slices.Contains(op.Tags, tag.Name) {
					group.Operations = append(group.Operations, docsOf(op))
				}
			}
		}
		model.Groups = append(model.Groups, group)
	}
	schemas := document.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		model.Schemas = append(model.Schemas, docsSchema{Name: name, Members: membersOf(schemas[name])})
	}
	var page bytes.Buffer
	if err := docsTemplate.Execute(&page, model); err != nil {
		panic("api: render the documentation: " + err.Error()) // fixed at build time
	}
	return page.Bytes()
}

// operationsOf lists the operations of a path in the order people read them.
func operationsOf(item *huma.PathItem) []*huma.Operation {
	all := []*huma.Operation{item.Post, item.Get, item.Patch, item.Delete}
	return slices.DeleteFunc(all, func(op *huma.Operation) bool { return op == nil })
}

func docsOf(op *huma.Operation) docsOperation {
	d := docsOperation{ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary}
	if roles, ok := op.Extensions["x-roles"].(access); ok {
		names := make([]string, len(roles))
		for i, role := range roles {
			names[i] = string(role)
		}
		d.Roles = strings.Join(names, ", ")
	}
	for _, p := range op.Parameters {
		text, link := typeOf(p.Schema)
		d.Parameters = append(d.Parameters, docsMember{
			Name: p.Name, In: p.In, Type: text, Link: link, Description: p.Description, Required: p.Required,
		})
	}
	if op.RequestBody != nil {
		d.Bodies, d.Required = contentsOf(op.RequestBody.Content), op.RequestBody.Required
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		response := op.Responses[status]
		answer := docsAnswer{
			Status: status, Description: response.Description, Contents: contentsOf(response.Content),
			Headers: slices.Sorted(maps.Keys(response.Headers)),
		}
		if response.Content[problemType] != nil {
			d.Refusals = append(d.Refusals, answer)
		} else {
			d.Answers = append(d.Answers, answer)
		}
	}
	return d
}

func contentsOf(content map[string]*huma.MediaType) []docsContent {
	contents := make([]docsContent, 0, len(content))
	for _, media := range slices.Sorted(maps.Keys(content)) {
		c := docsContent{Media: media}
		c.Type, c.Link = typeOf(content[media].Schema)
		if example := content[media].Example; example != nil {
			text, err := json.MarshalIndent(example, "", "  ")
			must(err)
			c.Example = string(text)
		}
		contents = append(contents, c)
	}
	return contents
}

func membersOf(schema *huma.Schema) []docsMember {
	members := make([]docsMember, 0, len(schema.Properties))
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := schema.Properties[name]
		text, link := typeOf(property)
		members = append(members, docsMember{
			Name: name, Type: text, Link: link, Description: property.Description,
			Required: slices.Contains(schema.Required, name),
		})
	}
	return members
}

// typeOf names the type of a schema, and the component it is made of.
func typeOf(schema *huma.Schema) (text, link string) {
	if schema == nil {
		return "", ""
	}
	if len(schema.OneOf) > 0 {
		texts := make([]string, len(schema.OneOf))
		for i, one := range schema.OneOf {
			texts[i], link = typeOf(one)
		}
		return strings.Join(texts, " or "), link
	}
	switch {
	case schema.Ref != "":
		link = schema.Ref[strings.LastIndexByte(schema.Ref, '/')+1:]
		text = link
	case schema.Type == huma.TypeArray:
		text, link = typeOf(schema.Items)
		text = "array of " + text
	case len(schema.Enum) > 0:
		texts := make([]string, len(schema.Enum))
		for i, value := range schema.Enum {
			texts[i] = fmt.Sprint(value)
		}
		text = strings.Join(texts, " | ")
	case schema.Type == "":
		text = "any JSON"
	case schema.Format == "date-time":
		text = "time"
	default:
		text = schema.Type
	}
	if schema.Nullable {
		text += " or null"
	}
	return text, link
}

// StatusText is the phrase of a status, for the table of problems.
func (r problemRow) StatusText() string { return http.StatusText(r.Status) }
