package main

import (
	"context"
	"net/http"
)

// keysCommand are the verbs on API keys.
type keysCommand struct {
	Create keysCreate `cmd:"" help:"Make a key; its text is shown only here."`
	List   keysList   `cmd:"" help:"List keys, without their text."`
	Revoke keysRevoke `cmd:"" help:"Make a key worthless at once."`
}

type keysCreate struct {
	outputFlags
	Role   string `required:"" enum:"admin,publisher,subscriber,viewer" placeholder:"ROLE" help:"What it may do: admin, publisher, subscriber or viewer."`
	Tenant string `placeholder:"TENANT" help:"Bind it to this tenant."`
	Name   string `placeholder:"NAME" help:"What it is for."`
}

type keyBody struct {
	Role   string `json:"role"`
	Tenant string `json:"tenant,omitempty"`
	Name   string `json:"name,omitempty"`
}

// Run makes the key and prints its text, which is shown only now.
func (k *keysCreate) Run(ctx context.Context, c console) error {
	return k.post(ctx, c, pathOf("keys"), keyBody{Role: k.Role, Tenant: k.Tenant, Name: k.Name})
}

type keysList struct {
	listFlags
}

type keyRow struct {
	ID        string `json:"id"`
	Role      string `json:"role"`
	Tenant    string `json:"tenant"`
	Name      string `json:"name"`
	CreatedAt string `json:"created_at"`
}

func (k keyRow) cells() []string {
	return []string{k.ID, k.Role, text(k.Tenant), text(k.Name), k.CreatedAt}
}

// Run prints the list.
func (k *keysList) Run(ctx context.Context, c console) error {
	head := []string{"ID", "ROLE", "TENANT", "NAME", "CREATED"}
	return printList[keyRow](ctx, c, k.listFlags, pathOf("keys"), nil, head)
}

type keysRevoke struct {
	outputFlags
	ID string `arg:"" name:"id" help:"The key's id."`
}

// Run revokes the key.
func (k *keysRevoke) Run(ctx context.Context, c console) error {
	return k.ask(ctx, c, call{method: http.MethodDelete, path: pathOf("keys", k.ID)})
}
