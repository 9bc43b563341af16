package storage_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"pannier/storage"
)

func openFolder(t *testing.T, path string) *storage.Folder {
	t.Helper()
	folder, err := storage.OpenFolder(path)
	if err != nil {
		t.Fatalf("OpenFolder: %v", err)
	}
	t.Cleanup(func() {
		if err := folder.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return folder
}

// content maps the names in a folder to what the files hold.
func content(t *testing.T, path string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	entries, err := os.ReadDir(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		raw, _ := os.ReadFile(filepath.Join(path, entry.Name())) // a folder reads as nothing
		files[entry.Name()] = string(raw)
	}
	return files
}

func TestFolderIsMade(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "deep", "data")
	before := time.Now().UnixMilli()
	folder := openFolder(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v; want mode 0700", info.Mode(), err)
	}
	if got := content(t, path)["format"]; got != "pannier data folder, format 1\n" {
		t.Errorf("format is %q", got)
	}
	for name, got := range map[string]string{"journal": folder.Journal(), "state": folder.State(), "history": folder.History()} {
		if want := filepath.Join(path, name); got != want {
			t.Errorf("path %q, want %q", got, want)
		}
	}
	if boot := folder.Boot(); boot < uint64(before) || boot > uint64(time.Now().UnixMilli()) {
		t.Errorf("boot %d is not the present", boot)
	}
	if member := folder.Member(); !strings.HasPrefix(member, "mem_") || len(member) != len("mem_")+20 {
		t.Errorf("member %q", member)
	}
}

func TestFolderIsOpenedAgain(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	first := openFolder(t, path)
	if got := first.Salt(); got != 0 {
		t.Errorf("salt of a new folder: %d, want 0", got)
	}
	if err := first.KeepSalt(256); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, locked := content(t, path)["lock"]; locked {
		t.Error("the lock is still there after Close")
	}
	second := openFolder(t, path)
	if second.Member() != first.Member() {
		t.Errorf("member %q, was %q", second.Member(), first.Member())
	}
	if got := second.Salt(); got != 256 || first.Salt() != 256 {
		t.Errorf("salt %d, want 256", got)
	}
	if second.Boot() <= first.Boot() {
		t.Errorf("boot %d, was %d", second.Boot(), first.Boot())
	}
}

func TestBootGrowsThoughTheClockWentBack(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	if err := openFolder(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	future := uint64(time.Now().Add(1000 * time.Hour).UnixMilli())
	if err := os.WriteFile(filepath.Join(path, "boot"), []byte(strconv.FormatUint(future, 10)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := openFolder(t, path)
	if got := folder.Boot(); got != future+1 {
		t.Errorf("boot %d, want %d", got, future+1)
	}
	if got, want := content(t, path)["boot"], strconv.FormatUint(future+1, 10)+"\n"; got != want {
		t.Errorf("stored boot %q, want %q", got, want)
	}
}

func TestFolderIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	const format1 = "pannier data folder, format 1\n"
	for _, test := range []struct {
		name  string
		files map[string]string
		want  []string // in the error
	}{
		{"newer format", map[string]string{"format": "pannier data folder, format 2\n"}, []string{"format 2", "up to 1"}},
		{"no number", map[string]string{"format": "pannier data folder, format one\n"}, []string{"format"}},
		{"format zero", map[string]string{"format": "pannier data folder, format 0\n"}, []string{"format"}},
		{"another program's format", map[string]string{"format": "ext4"}, []string{"format"}},
		{"empty format", map[string]string{"format": ""}, []string{"format"}},
		{"unknown content", map[string]string{"notes.txt": "mine"}, []string{"notes.txt"}},
		{"unknown content beside a lock", map[string]string{"lock": "", "notes.txt": "mine"}, []string{"notes.txt"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir()
			for name, text := range test.files {
				if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := storage.OpenFolder(path)
			for _, want := range append(test.want, path) {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("OpenFolder = %v, want %q in it", err, want)
				}
			}
			if got := content(t, path); !maps.Equal(got, test.files) {
				t.Errorf("the folder now holds %v, want %v", got, test.files)
			}
		})
	}
	for _, damaged := range []map[string]string{
		{"format": format1, "boot": "x\n", "member": "mem_a\n"},
		{"format": format1, "boot": "1\n", "member": "\n"},
		{"format": format1, "boot": "1\n", "member": "mem_a\n", "salt": "65536\n"},
	} {
		path := t.TempDir()
		for name, text := range damaged {
			if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := storage.OpenFolder(path); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("OpenFolder over %v = %v, want damaged", damaged, err)
		}
		if got := content(t, path); !maps.Equal(got, damaged) {
			t.Errorf("the folder now holds %v, want %v", got, damaged)
		}
	}
}

func TestFolderCutShortIsFinished(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	for _, name := range []string{"lock", "format.tmp"} {
		if err := os.WriteFile(filepath.Join(path, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(path, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	openFolder(t, path)
}

const folderOfChild = "PANNIER_TEST_FOLDER"

// TestFolderInUseIsRefused runs itself a second time as the other process.
func TestFolderInUseIsRefused(t *testing.T) {
	if path := os.Getenv(folderOfChild); path != "" {
		if _, err := storage.OpenFolder(path); err == nil || !strings.Contains(err.Error(), "another process has it open") {
			t.Fatalf("OpenFolder = %v, want a refusal", err)
		}
		return
	}
	t.Parallel()
	path := t.TempDir()
	folder := openFolder(t, path)
	before := content(t, path)
	child := exec.Command(os.Args[0], "-test.run=^TestFolderInUseIsRefused$")
	child.Env = append(os.Environ(), folderOfChild+"="+path)
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("the other process: %v\n%s", err, out)
	}
	if _, err := storage.OpenFolder(path); err == nil {
		t.Error("the same process opened it twice")
	}
	if got := content(t, path); !maps.Equal(got, before) {
		t.Errorf("the folder now holds %v, want %v", got, before)
	}
	if err := folder.Close(); err != nil {
		t.Fatal(err)
	}
	openFolder(t, path)
}
