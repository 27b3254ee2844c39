//go:build interop

package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
)

// stage is where a block is run that is not for the directory of serve --dev:
// the block of that page that has a text.
type stage struct {
	page, has string
	// stands are texts of the block, each with what stands for it here.
	stands []string
	// mongoDB is the address of a database that stands for the one here.
	mongoDB string
	// before and after are run around it.
	before, after string
	// inDemo runs it in the directory of serve --dev after all.
	inDemo bool
	// cannot says why nothing here can run it.
	cannot string
}

// aClient registers a client that a block is about.
const aClient = `keyturn clients add shop --grant password`

// aCode has the user log in at the page, where the block before has led, and takes the
// code out of the address.
const aCode = `. "$DIR/.variables"
browser() { curl -sf -b jar.txt -c jar.txt "$@"; }
TOKEN=$(browser "$ISSUER/account" | sed -n 's/.*name="token" value="\([^"]*\)".*/\1/p' | head -n 1)
browser -o page.html "$ISSUER/account/login" -d "token=$TOKEN" --data-urlencode "username=$EMAIL" --data-urlencode "password=$PASSWORD"
CODE=$(browser -o page.html -w '%{redirect_url}' -G "$ISSUER/oauth/authorize" -d response_type=code -d "client_id=$CLIENT_ID" \
  --data-urlencode redirect_uri=http://127.0.0.1:8765/callback -d scope=openid%20email -d "code_challenge=$CHALLENGE" -d code_challenge_method=S256 |
  sed 's/.*[?&]code=\([^&]*\).*/\1/')`

// stages are all blocks that are not run as they stand.
var stages = []stage{
	{page: "README.md", has: "go run ./cmd/keyturn serve --dev", before: workspace,
		stands: []string{"./cmd/keyturn", "github.com/keyturn/keyturn/cmd/keyturn"},
		after:  `eventually grep -q 'go run ./cmd/keyturn doctor' out.txt`},
	{page: "README.md", has: "go test ./...", cannot: "it is what runs this"},
	{page: "docs/quickstart.md", has: "go install", stands: []string{"./cmd/keyturn", "github.com/keyturn/keyturn/cmd/keyturn"},
		after: `test -x "$GOBIN/keyturn"; test -s keyturn-dev.json`},
	{page: "docs/quickstart.md", has: "keyturn-dev.json", inDemo: true,
		before: `wanted="$CLIENT_ID $CLIENT_SECRET $EMAIL $PASSWORD"; CLIENT_ID=`,
		after:  `test "$CLIENT_ID $CLIENT_SECRET $EMAIL $PASSWORD" = "$wanted"`},
	{page: "docs/operating.md", has: "keyturn serve --issuer https", after: `test -s keyturn.db; test -s keyturn.master-key`},
	{page: "docs/operating.md", has: "mongodb://db1,db2,db3/keyturn", mongoDB: "mongodb://db1,db2,db3/keyturn?replicaSet=rs0"},
	{page: "docs/operating.md", has: "keyturn.master-key > young", inDemo: true},
	{page: "docs/operating.md", has: "mongodump", cannot: "no MongoDB and none of its tools can be installed on the machines that build this"},
	{page: "docs/operating.md", has: "sh.shardCollection", cannot: "no MongoDB and none of its tools can be installed on the machines that build this; TestEveryCollectionHasItsShardKey holds it to the table"},
	{page: "docs/operating.md", has: "store restored", before: `keyturn serve --issuer https://login.example.com
keyturn store backup behind.db
keyturn clients add later --public --grant password
rm keyturn.db*
mv behind.db keyturn.db`,
		after: `keyturn audit verify keyturn-audit.log | grep 'restored by other means'`},
	{page: "docs/auditing.md", has: "docker exec", cannot: "there is no container engine on the machines that build this; TestA3_ACommandBesideAServerWhoseLogIsAStream does without"},
	{page: "docs/operating.md", has: "docker compose", cannot: "there is no container engine on the machines that build this"},
	{page: "docs/performance.md", has: "git clone", stands: []string{"git clone --quiet https://github.com/keyturn/keyturn source",
		`ln -s "$REPOSITORY" source`, "go -C", "command go -C",
		"keyturn serve", "command keyturn serve", "--duration 4s --warmup 1s", "--duration 300ms --warmup 10ms --rounds 1 --clients 2"}},
	{page: "docs/performance.md", has: "-bench Refresh", cannot: aBenchmark},
	{page: "docs/performance.md", has: "-test.bench", cannot: aBenchmark},
	{page: "docs/performance.md", has: "-bench 'Sign|PollNothingNew|Keys'", cannot: aBenchmark},
	{page: "docs/operating.md", has: "KEYTURN_TEST_EXPIRED", cannot: "it takes an hour; with few sessions the test runs among the others"},
	{page: "docs/auditing.md", has: "imtcp", cannot: "TestA2_RsyslogIsKilled runs rsyslogd with it"},
	{page: "docs/accounts.md", has: "users factors", before: `printf 'violet harbour at noon' | keyturn users add ada@example.com --password-file -`},
	{page: "docs/accounts.md", has: "--client-require-second-factor", before: aClient},
	{page: "docs/clients.md", has: "--password-alone", before: aClient},
	{page: "docs/clients.md", has: "keyturn serve --dev", cannot: wholeApplications},
	{page: "docs/clients.md", has: theShop, cannot: wholeApplications},
	{page: "docs/clients.md", has: "node app.mjs", cannot: wholeApplications},
	{page: "docs/clients.md", has: theNotes, cannot: wholeApplications},
	{page: "docs/clients.md", has: "python3 -m http.server", cannot: wholeApplications},
	{page: "docs/clients.md", has: theLife, cannot: "TestTheLifeOfAnAccountByJSON runs it, beside a mail server"},
	{page: "docs/clients.md", has: `"code=$CODE"`, inDemo: true, before: aCode, after: `printf %s "$ANSWER" | jq -e '.id_token and .refresh_token'`},
	{page: "docs/clients.md", has: "oauth2-proxy --http-address", cannot: "it stays; TestInstalledApplications runs it"},
	{page: "docs/accounts.md", has: "--format firebase", cannot: "TestU3_FirebasesUsersLogIn imports such a file"},
	{page: "docs/accounts.md", has: "sqlite3 -csv -header app.db", before: `sqlite3 app.db "CREATE TABLE users (id INTEGER PRIMARY KEY,
		email TEXT, hashed_password TEXT, is_active BOOLEAN)" "INSERT INTO users VALUES (7, 'grace@example.com',
		'\$2b\$12\$5IMUAatYV1Xaj4UPmTBJfupmSi1vNp6GYcv9emU5wQgJ6gAvDrcQS', 1)"`,
		after: `keyturn users list --output json | jq -e '.[0].uid == "7" and .[0].email == "grace@example.com"'`},
	{page: "docs/accounts.md", has: "from django.contrib.auth.models", before: djangoSite,
		after: "END\n" + `jq -e '.uid == "1" and .roles == ["clerks"]' users.jsonl; keyturn users import users.jsonl`},
}

// aBenchmark is why what measures is not run among tests that load the machine;
// TestNamesInPages sees that what it measures is there.
const aBenchmark = "a benchmark, of minutes"

// wholeApplications is why what stays is not run among the other blocks of the page.
const wholeApplications = "TestAWholeWebApplication and TestAWholeSinglePageApplication run it"

// checkStages finds stages that are of no block or of more than the one they
// were meant for, and words that nothing stands for any more.
func checkStages(t *testing.T, pages []*page) {
	t.Helper()
	blocks := map[string]int{}
	for _, p := range pages {
		for _, b := range p.snippets {
			at := p.stagesOf(b)
			if len(at) > 1 {
				t.Errorf("%s: %d stages are for one block:\n%s", p.name, len(at), b.text)
			}
			for _, s := range at {
				blocks[s.page+s.has]++
				for i := 0; i < len(s.stands); i += 2 {
					if !strings.Contains(b.text, s.stands[i]) {
						t.Errorf("%s: the block with %q has no %q", p.name, s.has, s.stands[i])
					}
				}
			}
			checkLists(t, p, b)
		}
	}
	for _, s := range stages {
		if n := blocks[s.page+s.has]; n != 1 {
			t.Errorf("%s has %d blocks with %q; want one", s.page, n, s.has)
		}
	}
}

// stagesOf are those that name the block.
func (p *page) stagesOf(b snippet) []stage {
	return slices.DeleteFunc(slices.Clone(stages), func(s stage) bool { return s.page != p.name || !strings.Contains(b.text, s.has) })
}

// checkLists finds commands whose failure a shell that stops at the first one
// (set -e) passes over: those before && or ||.
func checkLists(t *testing.T, p *page, b snippet) {
	t.Helper()
	if b.language != "sh" && b.language != "console" {
		return
	}
	for line := range strings.Lines(b.text) {
		if strings.Contains(line, " && ") || strings.Contains(line, " || ") {
			t.Errorf("%s: a shell goes on where the left of this fails; give it lines of its own: %s", p.name, line)
		}
	}
}

// djangoSite makes a site with one account, whose shell the block is for.
const djangoSite = `cat > site.py <<'END'
import sys
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"], USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.contrib.auth.models import Group, User
User.objects.create_user("grace", "grace@example.com", "la niña y el jabalí").groups.add(Group.objects.create(name="clerks"))
exec(sys.stdin.read())
END
/usr/bin/python3 site.py > users.jsonl <<'END'`

// workspace has a directory that is not the module's run its programs, so that
// what they make is left there.
const workspace = `export GOWORK="$PWD/go.work"; command go work init "$REPOSITORY"
go() { command go "$@" > out.txt & }`

// onStage is what every stage begins with. A server in the foreground, which
// would stay, is ended once it is ready.
const onStage = `set -euo pipefail
go() { (cd "$REPOSITORY" && command go "$@"); }
eventually() { for _ in $(seq 600); do if "$@"; then return; fi; sleep 0.05; done; return 1; }
ready() { curl -sf -o /dev/null "http://$KEYTURN_LISTEN/readyz"; }
keyturn() {
  if [ "$1" != serve ]; then command keyturn "$@"; return; fi
  command keyturn "$@" & local server=$!
  eventually ready; kill -TERM $server; wait $server
}
`

// on runs a block on its stage.
func (p *page) on(t *testing.T, s stage, text string) (string, error) {
	t.Helper()
	repository, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return "", err
	}
	at := shell{dir: t.TempDir(), environ: bareEnviron()}
	address := freePort(t)
	if s.inDemo {
		d := p.demo(t)
		at, address = d.shell, strings.TrimPrefix(d.url, "http://")
	}
	stands := append([]string{"127.0.0.1:8080", address, "0.0.0.0:8080", address}, s.stands...)
	if s.mongoDB != "" {
		stands = append(stands, s.mongoDB, mongotest.URI(t))
	}
	bin := t.TempDir()
	at.environ = append(at.environ, "KEYTURN_LISTEN="+address, "KEYTURN_ADMIN_LISTEN=off", "REPOSITORY="+repository, "GOBIN="+bin)
	at.environ = append(at.environ, path(bin, binaries))
	return at.run(t, onStage+s.before+"\n"+strings.NewReplacer(stands...).Replace(text)+s.after, "")
}
