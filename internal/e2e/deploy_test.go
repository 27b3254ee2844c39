package e2e

import (
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// manifest is what these tests read of compose's and Kubernetes's files.
type manifest struct {
	Kind string
	Spec struct {
		Template struct {
			Spec struct {
				Grace      int `yaml:"terminationGracePeriodSeconds"`
				Containers []container
			}
		}
	}
	Services map[string]struct {
		Image       string
		Environment map[string]string
	}
}

type container struct {
	Image string
	Env   []struct{ Name, Value string }
	Ready struct {
		Get struct{ Path string } `yaml:"httpGet"`
	} `yaml:"readinessProbe"`
	Alive struct {
		Get struct{ Path string } `yaml:"httpGet"`
	} `yaml:"livenessProbe"`
}

func manifests(t *testing.T, path string) []manifest {
	t.Helper()
	var all []manifest
	for d := yaml.NewDecoder(strings.NewReader(readFile(t, path))); ; {
		var m manifest
		err := d.Decode(&m)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, m)
	}
}

// accepted asks keyturn config about an environment and returns what is in force.
func accepted(t *testing.T, environ []string, args ...string) string {
	t.Helper()
	// The files are there where the server runs.
	environ = slices.Clone(environ)
	for i, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		switch {
		case name == "KEYTURN_MASTER_KEY_FILE":
			masters := filepath.Join(t.TempDir(), filepath.Base(value))
			newMasterKeys(t, masters)
			environ[i] = name + "=" + masters
		case name == "KEYTURN_STORE_MUST_EXIST":
			environ[i] = name + "=false" // the first start
		case strings.HasPrefix(value, "sqlite:"):
			environ[i] = name + "=sqlite:" + filepath.Join(t.TempDir(), filepath.Base(value))
		}
	}
	o := execute(t, environ, "", append([]string{"config"}, args...)...)
	if o.code != 0 {
		t.Fatalf("keyturn config %v with %v: %s", args, environ, o.stderr)
	}
	return o.stdout
}

// pinned is an image by its version, or one that is built here.
var pinned = regexp.MustCompile(`^$|:\d+(\.\d+)+(-[a-z0-9]+)?$`)

// TestManifests: the settings in compose's and Kubernetes's files are settings, the
// probes' paths answer, and a pod is given the time to drain.
func TestManifests(t *testing.T) {
	t.Parallel()
	s := newDeployment(t, "").serve(t)
	seen := 0
	for _, path := range []string{"../../docker-compose.yml", "../../deploy/kubernetes/sqlite.yaml", "../../deploy/kubernetes/mongodb.yaml"} {
		for _, m := range manifests(t, path) {
			for name, service := range m.Services {
				if !pinned.MatchString(service.Image) {
					t.Errorf("%s: the image of %s is not pinned: %s", path, name, service.Image)
				}
				var environ []string
				for name, value := range service.Environment {
					environ = append(environ, name+"="+value)
				}
				if len(environ) > 0 {
					accepted(t, environ)
					seen++
				}
			}
			pod := m.Spec.Template.Spec
			for _, c := range pod.Containers {
				seen++
				environ := []string{"KEYTURN_LISTEN=0.0.0.0:8080"}
				for _, e := range c.Env {
					if e.Value == "" && e.Name == "KEYTURN_STORE" {
						e.Value = "mongodb://db1,db2,db3/keyturn?replicaSet=rs0"
					}
					environ = append(environ, e.Name+"="+e.Value)
				}
				accepted(t, environ)
				if !pinned.MatchString(c.Image) {
					t.Errorf("%s: the image %s is not pinned", path, c.Image)
				}
				for _, probe := range []string{c.Ready.Get.Path, c.Alive.Get.Path} {
					if a := mustSend(t, "GET", s.url+probe, nil, ""); probe == "" || a.status != 200 {
						t.Errorf("%s: the probe %q is answered %d", path, probe, a.status)
					}
				}
				drains(t, path, time.Duration(pod.Grace)*time.Second, environ)
			}
		}
	}
	if seen != 4 {
		t.Errorf("%d replicas and pods were looked at, want 4", seen)
	}
}

// drains holds the time that something gives a server to end to what the server
// takes for it.
func drains(t *testing.T, path string, given time.Duration, environ []string, args ...string) {
	t.Helper()
	var took time.Duration
	for line := range strings.SplitSeq(accepted(t, environ, args...), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 1 && strings.HasPrefix(fields[0], "shutdown_") {
			d, err := time.ParseDuration(strings.Trim(fields[1], `"`))
			if err != nil {
				t.Fatal(err)
			}
			took += d
		}
	}
	if took == 0 || given <= took {
		t.Errorf("%s gives a server %s to end, which takes up to %s", path, given, took)
	}
}

// TestSystemdUnit: what the unit runs is accepted with the settings beside it.
func TestSystemdUnit(t *testing.T) {
	t.Parallel()
	unit := readFile(t, "../../deploy/systemd/keyturn.service")
	line := func(key string) string {
		_, rest, ok := strings.Cut(unit, "\n"+key+"=")
		if !ok {
			t.Fatalf("the unit has no %s", key)
		}
		value, _, _ := strings.Cut(rest, "\n")
		return value
	}
	command := strings.Fields(line("ExecStart"))
	if len(command) != 4 || command[0] != "/usr/local/bin/keyturn" || command[1] != "serve" || command[2] != "--config" {
		t.Fatalf("the unit runs %q", command)
	}
	state := t.TempDir() + "/"
	settings := filepath.Join(t.TempDir(), "keyturn.yml")
	writeFile(t, settings, strings.ReplaceAll(readFile(t, "../../deploy/systemd/keyturn.yml"), "/var/lib/"+line("StateDirectory")+"/", state))
	grace, err := time.ParseDuration(line("TimeoutStopSec") + "s")
	if err != nil {
		t.Fatal(err)
	}
	drains(t, "the unit", grace, nil, "--config", settings)
	effective := accepted(t, nil, "--config", settings)
	for _, name := range []string{"sqlite:" + state, `"` + state} {
		if !strings.Contains(effective, name) {
			t.Errorf("nothing is kept in %s:\n%s", name, effective)
		}
	}
}

// TestDockerfile: what the image is built from is pinned, nothing secret goes into the
// build, nobody in it is root, and its environment has settings.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	var environ, user []string
	text := strings.ReplaceAll(readFile(t, "../../Dockerfile"), "\\\n", " ")
	for line := range strings.SplitSeq(text, "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) < 2:
		case words[0] == "FROM" && words[1] != "scratch" && !pinned.MatchString(words[1]):
			t.Errorf("the image is not pinned: %s", line)
		case words[0] == "USER":
			user = strings.Split(words[1], ":")
		case words[0] == "ENV":
			environ = append(environ, words[1:]...)
		}
	}
	if len(user) != 2 || user[0] == "0" || user[0] == "root" || len(environ) == 0 {
		t.Errorf("user %q, environment %q", user, environ)
	}
	accepted(t, append(environ, "KEYTURN_ISSUER=https://login.example.com"))
	ignored := strings.Fields(readFile(t, "../../.dockerignore"))
	for _, pattern := range []string{"secrets/", "*.master-key", "*.db", ".git"} {
		if !slices.Contains(ignored, pattern) {
			t.Errorf(".dockerignore does not name %s", pattern)
		}
	}
	var compose struct {
		Secrets map[string]struct{ File string }
	}
	if err := yaml.Unmarshal([]byte(readFile(t, "../../docker-compose.yml")), &compose); err != nil {
		t.Fatal(err)
	}
	for name, secret := range compose.Secrets {
		if !strings.HasPrefix(secret.File, "./secrets/") {
			t.Errorf("the secret %s is in %s, which the build takes along", name, secret.File)
		}
	}
	if len(compose.Secrets) == 0 {
		t.Error("compose has no secrets")
	}
}
