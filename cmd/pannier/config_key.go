package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
)

const (
	// minAdminKeyChars keeps keys that can be guessed out.
	minAdminKeyChars = 24
	// maxAdminKeyBytes bounds what is read of a key file.
	maxAdminKeyBytes = 4 << 10
	// othersRead is the permission bit that lets every account of the machine read a file.
	othersRead = 0o004
)

// adminKey is the first admin key, from the file or the environment; "" without either.
func adminKey(path, fromEnvironment string) (string, error) {
	source, key := "PANNIER_ADMIN_KEY", fromEnvironment
	switch {
	case path != "" && fromEnvironment != "":
		return "", usagef("--admin-key-file and PANNIER_ADMIN_KEY are both given, one of them must go")
	case path == "" && fromEnvironment == "":
		return "", nil
	case path != "":
		text, err := readKeyFile(path)
		if err != nil {
			return "", usageError{fmt.Errorf("--admin-key-file: %w", err)}
		}
		source, key = "--admin-key-file", text
	}
	if len(key) < minAdminKeyChars {
		return "", usagef("%s: the key has %d characters, it must have at least %d", source, len(key), minAdminKeyChars)
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) || r == ' ' }) {
		return "", usagef("%s: the key may hold only printable ASCII without spaces, or no header could carry it", source)
	}
	return key, nil
}

func readKeyFile(path string) (string, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // it is only read
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&othersRead != 0 {
		return "", fmt.Errorf("everybody can read %s, take that right away with chmod o-r", path)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxAdminKeyBytes+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxAdminKeyBytes {
		return "", fmt.Errorf("%s is over %d bytes", path, maxAdminKeyBytes)
	}
	return string(bytes.TrimSpace(text)), nil
}
