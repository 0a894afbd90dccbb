#include "tools/args/commands.hpp"

#include <algorithm>
#include <array>

namespace reeve::tools {
namespace {

using Option = OptionSpec;
constexpr Complete a_file = Complete::file;
constexpr Complete a_directory = Complete::directory;

constexpr Option options_of_all[] = {
    {"--json", "", "one JSON document, or one per line for streams"},
    {"--data", "DIR", "which cell (or $REEVE_DATA; ~/.local/share/reeve)", 0,
     false, a_directory},
    {"--quiet", "", "say nothing but results", 'q'},
    {"--help", "", "what a command does, with examples", 'h'},
    {"--version", "", "the version of this program"},
};

constexpr Option session[] = {
    {"--name", "NAME", "a name for people", 'n'},
    {"--cpus", "N", "CPUs of each task: 1 by default, 0.5 is half", 'c'},
    {"--mem", "SIZE", "memory limit of each task: 512M, 4G; none without"},
    {"--gpus", "SPEC", "GPUs of each task: 2, 0.25, A100:2, T4|P100:1"},
    {"--gpu-mem", "SIZE", "memory of each GPU share"},
    {"--tasks", "N", "tasks that start together, ranks 0 to N-1"},
    {"--nodes", "N", "exactly that many different nodes"},
    {"--time", "DURATION", "end it after this long: 90s, 1h30m, 2d", 't'},
    {"--priority", "N", "higher goes first; -1000000 to 1000000"},
    {"--user", "NAME", "whose it is, not yours; for admins of the cell"},
    {"--project", "P", "whose account"},
    {"--group", "G", "resource group"},
    {"--env", "K=V", "a variable; KEY alone takes this shell's value", 'e',
     true},
    {"--workdir", "DIR", "where it runs; the present one without", 0, false,
     a_directory},
    {"--label", "K=V", "a label", 'l', true},
    {"--after", "ID[:ok|:any|:failed]", "start when that one has ended so", 0,
     true, Complete::session},
    {"--not-before", "TIME", "start no earlier: 2026-11-20 14:00, +2h"},
    {"--requeue", "N", "try again up to N times when it does not succeed"},
    {"--on-node", "NAME", "that node only", 'w', false, Complete::node},
    {"--sim-duration", "D", "a task that only lasts; simulated nodes"},
    {"--array", "A-B[%MAX]", "one for each index, MAX of them at once"},
    {"--constraint", "EXPR", "nodes whose labels say so: rack=r1 && !old"},
    {"--prefer", "EXPR", "rather there; the first counts most", 0, true},
    {"--together", "WORD[@LABEL]", "where others of yours with this word are"},
    {"--apart", "WORD[@LABEL]", "where no other of yours with this word is"},
    {"--within", "LABEL", "all its nodes with one value of this label"},
    {"--grace", "DURATION", "from SIGTERM to SIGKILL when it has to end (5s)"},
    {"--cut-off", "DURATION", "ends on a host that is cut off for so long"},
    {"--warn", "SIGNAL@DURATION", "a signal before the time limit: USR1@60s"},
    {"--on-preempt", "requeue|end", "when it has to make room (requeue)", 0,
     false, Complete::nothing, "requeue|end"},
    {"--reservation", "NAME", "in what that reservation keeps"},
    {"--image", "IMG", "a container image (not in this release)"},
    {"--volume", "V:/PATH[:ro]", "a volume (not in this release)", 0, true}};

constexpr auto submit_options = [] {
  std::array<Option, std::size(session) + 2> out{};
  std::copy(std::begin(session), std::end(session), out.begin());
  out[std::size(session)] = {
      "--file", "FILE", "one or many sessions: JSON lines or TOML",
      'f',      false,  a_file};
  out.back() = {"--dry-run", "", "say what would become of it; submit nothing"};
  return out;
}();

constexpr std::string_view run_examples[] = {
    "reeve run -- hostname",
    "reeve run --cpus 4 --mem 8G --gpus 1 -- python3 train.py",
    "reeve run --time 10m --env SEED=7 -- sh -c 'echo $SEED'",
    "reeve run -- sh -c 'wc -l < words.txt'"};
constexpr Option cancel_options[] = {
    {"--array", "", "all of the array whose first session it is"}};
constexpr std::string_view cancel_examples[] = {"reeve cancel s-12 s-13",
                                                "reeve cancel --array s-20"};
constexpr Option graph_options[] = {
    {"--dot", "", "for Graphviz: reeve graph --dot | dot -Tsvg"}};
constexpr std::string_view graph_examples[] = {"reeve graph",
                                               "reeve graph s-12"};
constexpr Option queue_options[] = {
    {"--group", "G", "of this resource group (default)", 'g'},
    {"--sim", "", "of its simulated nodes"},
    {"--limit", "N", "the first N (50)", 'n'}};
constexpr std::string_view queue_examples[] = {"reeve queue",
                                               "reeve queue --group train"};
constexpr std::string_view submit_examples[] = {
    "reeve submit --gpus A100:2 --time 2h -- python3 train.py",
    "reeve submit --after s-12:ok -- ./evaluate.sh",
    "reeve submit --array 1-100%10 -- sh -c './step $REEVE_ARRAY_INDEX'",
    "reeve submit --constraint 'rack=r1 && gpus>=4' --dry-run -- ./train.sh",
    "reeve submit --time 2h --warn USR1@5m --grace 1m -- ./train.sh",
    "reeve submit --user ann --project vision -- ./train.sh",
    "reeve submit --file sessions.jsonl"};

constexpr Option up_options[] = {
    {"--detach", "", "return when the cell serves", 'd'},
    {"--port", "P", "port of the bus on loopback; a free one without"},
    {"--config", "FILE", "settings of the node", 0, false, a_file},
    {"--sim-nodes", "N|FILE", "add N simulated nodes, or those of a CSV", 0,
     false, a_file}};
constexpr std::string_view up_examples[] = {"reeve up --detach",
                                            "reeve up --detach --sim-nodes 16"};
constexpr Option down_options[] = {
    {"--timeout", "DURATION", "how long to wait for its end (90s)"}};

constexpr Option ps_options[] = {
    {"--all", "", "ended ones too", 'a'},
    {"--state", "S", "only these: pending,running", 's', true},
    {"--user", "U", "only this user's", 'u'},
    {"--limit", "N", "the newest N (1000)", 'n'}};
constexpr std::string_view ps_examples[] = {
    "reeve ps", "reeve ps --all --state failed", "reeve ps --json"};
constexpr Option logs_options[] = {
    {"--follow", "", "go on until the session ends", 'f'},
    {"--task", "N", "the task of this rank (0)"},
    {"--stderr", "", "standard error in place of standard output"},
    {"--attempt", "N", "an earlier try"}};
constexpr std::string_view logs_examples[] = {"reeve logs s-12",
                                              "reeve logs -f s-12 --task 3"};
constexpr Option wait_options[] = {
    {"--timeout", "DURATION", "give up after this long"}};
constexpr std::string_view wait_examples[] = {
    "reeve wait s-12", "reeve wait s-12 s-13 --timeout 1h"};

constexpr Option then_options[] = {
    {"--at", "SEQ|TIME", "as it was then: 100, -2h, 2026-11-20 14:00"},
    {"--log", "DIR", "from this log, not from the cell", 0, false,
     a_directory}};
constexpr std::string_view show_examples[] = {"reeve show s-12",
                                              "reeve show s-12 --at -2h"};
constexpr Option history_options[] = {
    {"--tree", "", "draw which event led to which"},
    {"--at", "SEQ|TIME", "up to then only"},
    {"--log", "DIR", "from this log, not from the cell", 0, false,
     a_directory}};
constexpr std::string_view history_examples[] = {
    "reeve history s-12 --tree", "reeve history s-12 --log /backup/cell/log"};

constexpr Option nodes_options[] = {
    {"--limit", "N", "at most so many (1000)", 'n'},
    then_options[0],
    then_options[1]};
constexpr Option gpus_options[] = {
    nodes_options[0],
    nodes_options[1],
    nodes_options[2],
    {"--live", "", "what they do, drawn again each second until Ctrl-C"}};
constexpr std::string_view gpus_examples[] = {"reeve gpus", "reeve gpus --live",
                                              "reeve gpus --live --json"};
constexpr std::string_view nodes_examples[] = {
    "reeve nodes", "reeve nodes --at \"2026-11-20 14:00\""};
constexpr Option drain_options[] = {
    {"--reason", "R", "why, for those who wonder"},
    {"--deadline", "D", "end what still runs after this long: 30m"}};
constexpr std::string_view drain_examples[] = {
    "reeve node drain host-7 --reason \"new memory\" --deadline 1h"};

constexpr Option quarantine_options[] = {
    {"--reason", "TEXT", "why, for those who wonder"}};
constexpr std::string_view quarantine_examples[] = {
    "reeve gpu quarantine host-7 3 --reason \"hot since Monday\"",
    "reeve gpu quarantine host-7 GPU-5c1f66a2-93d4-9f2c-1a5e-2f0b7e0c4d11"};
constexpr Option release_options[] = {
    {"--force", "", "also what its agent found unfit, without a passed test"}};
constexpr std::string_view release_examples[] = {
    "reeve gpu release host-7 3", "reeve gpu release host-7 3 --force"};
constexpr Option test_options[] = {
    {"--quick", "", "in seconds: all memory once, the arithmetic briefly"},
    {"--full", "", "in a minute or two (default)"}};
constexpr std::string_view test_examples[] = {"reeve gpu test host-7 3",
                                              "reeve gpu test host-7 --quick",
                                              "reeve gpu test --quick --json"};

constexpr Option weight_option = {"--weight", "X",
                                  "its share beside others': 0.5, 2 (1)"};
constexpr Option priority_max_option = {
    "--priority-max", "N", "the highest priority of its sessions, or none"};
constexpr Option user_options[] = {
    {"--uid", "N", "the user id that the sessions run with"},
    weight_option,
    priority_max_option,
    {"--admin", "yes|no", "may change nodes, accounts and quotas", 0, false,
     Complete::nothing, "yes|no"}};
constexpr std::string_view user_examples[] = {
    "reeve user set ann --uid 1001 --weight 2",
    "reeve user set bob --admin yes"};
constexpr Option project_options[] = {
    {"--parent", "PROJECT", "the project above it, or none"},
    weight_option,
    priority_max_option,
    {"--member", "USER", "who may submit for it; all for everybody", 0, true}};
constexpr std::string_view project_examples[] = {
    "reeve project set vision --parent research --member ann --member bob"};
constexpr Option group_options[] = {
    {"--policy", "P", "order, backfill and packing, or default"},
    weight_option,
    priority_max_option,
    {"--for-project", "PROJECT", "who may use it; all for everybody", 0, true},
    {"--gpu-sharing", "WHO",
     "who shares one GPU: a project, a user, anyone or none", 0, false,
     Complete::nothing, "project|user|anyone|none"}};
constexpr std::string_view group_examples[] = {
    "reeve group set train --policy fair_share,easy,half_life=7d",
    "reeve group set train --for-project vision",
    "reeve group set train --gpu-sharing user"};
constexpr Option quota_options[] = {
    {"--sessions", "N", "that run at once, or none"},
    {"--waiting", "N", "that wait at once, or none"},
    {"--cpus", "N", "held at once, or none", 'c'},
    {"--mem", "SIZE", "held at once, or none", 'm'},
    {"--gpus", "N", "held at once: 8, 0.5, or none", 'g'},
    {"--gpu-hours", "N", "used in a period, or none"},
    {"--per", "PERIOD", "the period: none, day, week, month (UTC)", 0, false,
     Complete::nothing, "none|day|week|month"}};
constexpr std::string_view quota_examples[] = {
    "reeve quota set project:vision --gpus 16 --sessions 100",
    "reeve quota set user:ann --gpu-hours 500 --per month",
    "reeve quota set user:ann --gpus none"};
constexpr std::string_view quota_remove_examples[] = {
    "reeve quota remove user:ann"};

constexpr Option reservation_options[] = {
    {"--node", "N", "which nodes", 'w', true, Complete::node},
    {"--device", "I", "only these GPUs of each, by index", 0, true},
    {"--user", "U", "for whom", 'u', true},
    {"--project", "P", "for whom, with the projects below it", 0, true},
    {"--from", "TIME", "when it begins: now, +2h, 2026-11-20 14:00"},
    {"--to", "TIME", "when it ends"},
    {"--for", "DURATION", "how long it lasts, in place of --to"},
    {"--every", "DURATION|day|week", "again and again, until removed"},
    {"--maintenance", "", "for nobody: nothing runs there then"},
    {"--reason", "R", "why, for those who wonder"}};
constexpr std::string_view reservation_examples[] = {
    "reeve reservation set demo --node host-7 --user ann --from +1h --for 2h",
    "reeve reservation set patch --node host-7 --maintenance --from "
    "\"2026-11-21 03:00\" --for 1h --every week --reason kernel"};

constexpr Option token_options[] = {
    {"--role", "ROLE", "what joins by it: agent, manager or user", 0, false,
     Complete::nothing, "agent|manager|user"},
    {"--name", "NAME", "lets in only the node, manager or user of this name"},
    {"--ttl", "DURATION", "how long it is good: 10m, 7d (1h)"},
    {"--uses", "N", "how many may join by it (1)"}};
constexpr std::string_view token_examples[] = {
    "reeve token create --role agent",
    "reeve token create --role agent --uses 20 --ttl 1d",
    "reeve token create --role user --name ann",
    "reeve token create --role manager --name m4"};
constexpr std::string_view revoke_examples[] = {"reeve token revoke 7"};
constexpr Option join_options[] = {
    {"--name", "NAME", "of the node (the host's name), or of the user"},
    {"--address", "HOST", "where other managers reach this one (as it goes)"},
    {"--group", "GROUP", "resource group of the node (default)"},
    {"--label", "K=V", "what sessions may ask of it", 0, true},
    {"--no-start", "", "leave the daemon to be started by hand"}};
constexpr std::string_view join_examples[] = {
    "reeve join reeve1:eyJjZWxs...",
    "reeve join - --name host-7 --label rack=r1 < token",
    "reeve join - --data ~/north --name ann < token"};
constexpr Option leave_options[] = {
    {"--force", "", "though sessions run here: they are lost on this node"}};
constexpr Option member_options[] = {
    {"--reason", "TEXT", "why, for those who wonder"}};
constexpr std::string_view member_examples[] = {
    "reeve members remove agent-host-7 --reason \"its disk was stolen\"",
    "reeve members remove m3 --reason \"its disk is lost\""};

constexpr std::string_view lead_examples[] = {"reeve lead m2"};

constexpr Option trace_options[] = {
    {"--nodes", "FILE|N", "the trace's nodes, declared as simulated", 0, true,
     a_file},
    {"--compress", "X", "times divided by X; 0: all at once (0)"},
    {"--format", "F", "openb, helios, swf or reeve (openb)", 0, false,
     Complete::nothing, "openb|helios|swf|reeve"},
    {"--users", "", "for the users of the trace, not for you; admins"},
    {"--window", "N", "submissions in flight (2048)"},
    {"--limit", "N", "only the first N requests"}};
constexpr std::string_view trace_examples[] = {
    "reeve trace run pods.csv --nodes nodes.csv --compress 0",
    "reeve trace run pods.csv --nodes nodes.csv --compress 10000 --json",
    "reeve trace run jobs.jsonl --format reeve --nodes 4 --compress 60 "
    "--users"};

constexpr Option simulate_options[] = {
    {"--nodes", "FILE|N", "nodes: a CSV, a number, or GROUP=N,...", 0, true,
     a_file},
    {"--format", "F", "openb, helios, swf or reeve (openb)", 0, false,
     Complete::nothing, "openb|helios|swf|reeve"},
    {"--policy", "P", "order, backfill and packing, as in fair_share,easy"},
    {"--round-s", "S", "start sessions every S seconds only"},
    {"--durations", "D", "lengths the policy sees: true, or the time limit", 0,
     false, Complete::nothing, "true|limit"},
    {"--fill", "X", "fill the GPUs: X times what there is, nothing ends"},
    {"--seed", "N", "of the order in which --fill offers them (1)"}};
constexpr std::string_view simulate_examples[] = {
    "reeve trace simulate jobs.swf --format swf --policy fifo",
    "reeve trace simulate pods.csv --nodes nodes.csv --fill 1.3 --seed 7",
    "reeve trace simulate helios.csv --format helios --nodes vc1=20,vc2=2 "
    "--durations true"};

constexpr Option events_options[] = {
    {"--follow", "", "go on with new ones", 'f'},
    {"--from", "SEQ|TIME", "the first: 100, -2h, 2026-11-20 14:00"},
    {"--filter", "EXPR", "kind=session_placed and session=s-12"}};
constexpr std::string_view events_examples[] = {
    "reeve events --from -10m",
    "reeve events -f --filter 'kind=task_exited and user=ann'"};
constexpr Option log_range[] = {
    {"--log", "DIR", "a data or log directory; the cell's without", 0, false,
     a_directory},
    {"--from", "SEQ|TIME", "the first event"},
    {"--to", "SEQ|TIME", "the last event"},
    {"--filter", "EXPR", "kind=session_placed and session=s-12"}};
constexpr std::string_view log_examples[] = {
    "reeve log cat --from -1h", "reeve log cat --filter session=s-12 --json"};
constexpr std::string_view verify_examples[] = {
    "reeve log verify", "reeve log verify --log /backup/cell/log"};
constexpr Option export_options[] = {
    log_range[0],
    log_range[1],
    log_range[2],
    {"--compression", "C", "zstd, or none (zstd)", 0, false, Complete::nothing,
     "zstd|none"}};
constexpr std::string_view export_examples[] = {
    "reeve log export cell.segment",
    "reeve log export --from -1d - | ssh backup 'cat > day.segment'"};
constexpr Option import_options[] = {
    {"--log", "DIR", "the log to make or to continue; the cell's without", 0,
     false, a_directory}};
constexpr std::string_view import_examples[] = {
    "reeve log import cell.segment --log /srv/copy/log"};
constexpr Option archive_options[] = {
    log_range[0],
    {"--to", "SEQ|TIME", "up to there, the last archive smaller if need be"},
    {"--keep", "N", "the newest N events stay in the database (1000000)"},
    {"--segment", "N", "events of one archive (1000000)"}};
constexpr std::string_view archive_examples[] = {"reeve log archive",
                                                 "reeve log archive --to -30d"};
constexpr Option repair_options[] = {
    log_range[0],
    {"--from", "PATH", "take missing records from this export, archive or copy",
     0, true, a_file},
    {"--yes", "PLAN", "carry out the plan with this id"}};
constexpr std::string_view repair_examples[] = {
    "reeve log repair", "reeve log repair --from /backup/cell.segment"};
constexpr Option diff_options[] = {
    log_range[0], {"--summary", "", "only what the changes come to"}};
constexpr std::string_view diff_examples[] = {"reeve diff -1h now",
                                              "reeve diff 100 200 --json"};
constexpr Option state_options[] = {
    {"--at", "SEQ|TIME", "the state then, from the log"},
    {"--digest", "", "its digest alone"},
    {"--log", "DIR", "from this log, not from the cell", 0, false,
     a_directory}};
constexpr std::string_view state_examples[] = {"reeve state --digest",
                                               "reeve state --at -1h --json"};
constexpr Option replay_options[] = {
    {"--log", "DIR", "a data or log directory; the cell's without", 0, false,
     a_directory},
    {"--to", "SEQ|TIME", "the last event"},
    {"--digest", "", "print the digest of the rebuilt state alone"}};
constexpr std::string_view replay_examples[] = {
    "reeve replay --log ~/.local/share/reeve --digest"};

constexpr Option usage_options[] = {
    {"--by", "KEY", "user, project, group or node (user)", 0, false,
     Complete::nothing, "user|project|group|node"},
    {"--from", "SEQ|TIME", "from then on; the log's beginning without"},
    {"--to", "SEQ|TIME", "until then; the log's last event without"},
    {"--per", "day|month", "sums of each", 0, false, Complete::nothing,
     "day|month"},
    {"--csv", "", "comma-separated values"},
    {"--log", "DIR", "a data or log directory; the cell's without", 0, false,
     a_directory}};
constexpr std::string_view usage_examples[] = {
    "reeve usage --by project --from 2026-11-01 --to 2026-12-01",
    "reeve usage --by node --from -7d --per day --csv"};
constexpr Option timeline_options[] = {
    {"--html", "FILE", "one page to zoom and search in; - is standard output",
     0, false, a_file},
    {"--from", "SEQ|TIME", "from then on; the log's beginning without"},
    {"--to", "SEQ|TIME", "until then; the log's last event without"},
    {"--node", "N", "this node only", 0, false, Complete::node},
    {"--by", "KEY", "letters by user, project or session (user)", 0, false,
     Complete::nothing, "user|project|session"},
    {"--width", "N", "columns; the terminal's without"},
    {"--limit", "N", "rows at most (200)"},
    {"--log", "DIR", "a data or log directory; the cell's without", 0, false,
     a_directory}};
constexpr std::string_view timeline_examples[] = {
    "reeve timeline --from -2h", "reeve timeline --html week.html --from -7d"};

constexpr Option whatif_options[] = {
    {"--policy", "P", "another policy for all groups, as in fifo"},
    {"--nodes", "+N|FILE", "N more nodes, -N fewer, or those of a CSV", 0, true,
     a_file},
    {"--from", "SEQ|TIME", "from then on; the log's beginning without"},
    {"--to", "SEQ|TIME", "until then; the log's last event without"},
    {"--html", "FILE", "one page that draws both; - is standard output", 0,
     false, a_file},
    {"--durations", "D", "lengths the policy sees: true, or the time limit", 0,
     false, Complete::nothing, "true|limit"},
    {"--round-s", "S", "start sessions every S seconds only"},
    {"--log", "DIR", "a data or log directory; the cell's without", 0, false,
     a_directory},
    {"--trace", "FILE", "the sessions of this trace, not of a log", 0, false,
     a_file},
    {"--format", "F", "of the trace: openb, helios, swf or reeve (openb)", 0,
     false, Complete::nothing, "openb|helios|swf|reeve"}};
constexpr std::string_view whatif_examples[] = {
    "reeve whatif --nodes +2 --from -30d",
    "reeve whatif --nodes next-year.csv --html whatif.html",
    "reeve whatif --trace jobs.swf --format swf --nodes 64"};

constexpr std::string_view bench_examples[] = {"reeve bench",
                                               "reeve bench commit --json"};
constexpr std::string_view completion_examples[] = {
    "reeve completion bash > /etc/bash_completion.d/reeve"};
constexpr std::string_view config_examples[] = {
    "reeve config check /var/lib/reeve/cell.toml"};

constexpr std::string_view sessions = "Sessions";
constexpr std::string_view cluster = "The cluster";
constexpr std::string_view the_log = "The log";
constexpr std::string_view cell = "The cell";

constexpr CommandSpec command_table[] = {
    {"up", cell, "", "start a one-machine cell, or go on with one", up_options,
     up_examples},
    {"down", cell, "", "stop the cell", down_options, {}},
    {"status", cell, "", "how the cell is", {}, {}},
    {"doctor", cell, "", "what is wrong here and how to mend it", {}, {}},
    {"config check",
     cell,
     "FILE",
     "check a settings file",
     {},
     config_examples,
     1,
     1,
     a_file},
    {"bench",
     cell,
     "[NAME] [-- ARGS...]",
     "measure; without a name, list",
     {},
     bench_examples,
     0,
     1,
     Complete::nothing,
     true},
    {"completion",
     cell,
     "bash|zsh|fish",
     "shell completion script",
     {},
     completion_examples,
     1,
     1},

    {"run", sessions, "-- CMD...",
     "run a command, with its output here and no input", session, run_examples,
     0, 0, Complete::command, true},
    {"submit", sessions, "-- CMD...", "queue a command, print the session id",
     submit_options, submit_examples, 0, 0, Complete::command, true},
    {"ps", sessions, "", "list sessions", ps_options, ps_examples},
    {"show", sessions, "ID", "everything about one session", then_options,
     show_examples, 1, 1, Complete::session},
    {"logs", sessions, "ID", "its output", logs_options, logs_examples, 1, 1,
     Complete::session},
    {"wait", sessions, "ID...", "wait for the end, exit as it did",
     wait_options, wait_examples, 1, -1, Complete::session},
    {"cancel", sessions, "ID...", "end sessions", cancel_options,
     cancel_examples, 1, -1, Complete::session},
    {"history", sessions, "ID", "its events, with the cause of each",
     history_options, history_examples, 1, 1, Complete::session},
    {"why",
     sessions,
     "ID",
     "why it waits, or why it ended",
     {},
     {},
     1,
     1,
     Complete::session},

    {"graph", sessions, "[ID]", "what waits for what", graph_options,
     graph_examples, 0, 1, Complete::session},

    {"queue", cluster, "", "who waits, in order, and why", queue_options,
     queue_examples},
    {"nodes", cluster, "", "list nodes", nodes_options, nodes_examples},
    {"node show",
     cluster,
     "NODE",
     "one node and who holds what",
     then_options,
     {},
     1,
     1,
     Complete::node},
    {"node drain", cluster, "NODE", "offer it to nobody", drain_options,
     drain_examples, 1, 1, Complete::node},
    {"node resume",
     cluster,
     "NODE",
     "offer it again, or let a removed one join again",
     {},
     {},
     1,
     1,
     Complete::node},
    {"node remove",
     cluster,
     "NODE",
     "take it out, until it is resumed",
     {},
     {},
     1,
     1,
     Complete::node},
    {"gpus", cluster, "", "list GPUs and who holds them", gpus_options,
     gpus_examples},
    {"gpu quarantine", cluster, "NODE GPU",
     "offer a GPU to nobody, by its index or uuid", quarantine_options,
     quarantine_examples, 2, 2, Complete::node},
    {"gpu release", cluster, "NODE GPU", "offer a quarantined GPU again",
     release_options, release_examples, 2, 2, Complete::node},
    {"gpu test", cluster, "[NODE [GPU]]",
     "test GPUs that nobody holds: one, a node's, or all", test_options,
     test_examples, 0, 2, Complete::node},
    {"user list", cluster, "", "list users and what they hold", {}, {}},
    {"user set", cluster, "NAME", "make or change a user", user_options,
     user_examples, 1, 1},
    {"user remove", cluster, "NAME", "let a user submit no more", {}, {}, 1, 1},
    {"project list", cluster, "", "list projects and what they hold", {}, {}},
    {"project set", cluster, "NAME", "make or change a project",
     project_options, project_examples, 1, 1},
    {"project remove", cluster, "NAME", "take a project away", {}, {}, 1, 1},
    {"group list",
     cluster,
     "",
     "list resource groups and what is held",
     {},
     {}},
    {"group set", cluster, "NAME", "make or change a resource group",
     group_options, group_examples, 1, 1},
    {"group remove",
     cluster,
     "NAME",
     "take a resource group away",
     {},
     {},
     1,
     1},
    {"quota list", cluster, "", "list quotas and what is held of them", {}, {}},
    {"quota set", cluster, "KIND:NAME", "limit what an account may hold",
     quota_options, quota_examples, 1, 1},
    {"quota remove",
     cluster,
     "KIND:NAME",
     "take all limits away",
     {},
     quota_remove_examples,
     1,
     1},
    {"reservation list",
     cluster,
     "",
     "list reservations and maintenance",
     {},
     {}},
    {"reservation set", cluster, "NAME", "keep nodes for some, or for nobody",
     reservation_options, reservation_examples, 1, 1},
    {"reservation remove",
     cluster,
     "NAME",
     "give back what it keeps",
     {},
     {},
     1,
     1},
    {"token create", cluster, "", "let a host or user join, by a secret text",
     token_options, token_examples},
    {"token list", cluster, "", "list tokens and what became of them", {}, {}},
    {"token revoke",
     cluster,
     "ID",
     "let nobody else join by it",
     {},
     revoke_examples,
     1,
     1},
    {"join", cluster, "TOKEN|-", "make this host a node of a cell, or a user's",
     join_options, join_examples, 1, 1},
    {"leave", cluster, "", "take this host out of its cell", leave_options, {}},
    {"members", cluster, "", "list who joined the cell", {}, {}},
    {"lead",
     cluster,
     "[MANAGER]",
     "have another of several managers lead the cell",
     {},
     lead_examples,
     0,
     1},
    {"members remove", cluster, "PRINCIPAL|MANAGER",
     "end its membership and its connections", member_options, member_examples,
     1, 1},
    {"trace run", cluster, "FILE", "put a recorded workload through the cell",
     trace_options, trace_examples, 1, 1, a_file},

    {"trace simulate", cluster, "FILE",
     "the same on a virtual clock, without a cell", simulate_options,
     simulate_examples, 1, 1, a_file, false, true},

    {"events", the_log, "", "committed events, without gaps", events_options,
     events_examples},
    {"log cat", the_log, "", "print events of a log", log_range, log_examples,
     0, 0, Complete::nothing, false, true},
    {"log stats",
     the_log,
     "",
     "counts, sizes and rates",
     log_range,
     {},
     0,
     0,
     Complete::nothing,
     false,
     true},
    {"log verify", the_log, "", "prove that nothing was altered or lost",
     log_range, verify_examples, 0, 0, Complete::nothing, false, true},
    {"log export", the_log, "FILE|-", "write events into one sealed file",
     export_options, export_examples, 1, 1, a_file, false, true},
    {"log import", the_log, "FILE", "make or continue a log from an export",
     import_options, import_examples, 1, 1, a_file, false, true},
    {"log archive", the_log, "", "seal old events in compressed files",
     archive_options, archive_examples, 0, 0, Complete::nothing, false, true},
    {"log repair", the_log, "", "mend a damaged log; shows, then asks",
     repair_options, repair_examples, 0, 0, Complete::nothing, false, true},
    {"diff", the_log, "A B", "what changed between two moments", diff_options,
     diff_examples, 2, 2, Complete::nothing, false, true},
    {"state", the_log, "", "the cluster now or then", state_options,
     state_examples},
    {"replay", the_log, "", "rebuild the state from the first event",
     replay_options, replay_examples, 0, 0, Complete::nothing, false, true},
    {"timeline", the_log, "", "who held which GPU when, as a picture",
     timeline_options, timeline_examples, 0, 0, Complete::nothing, false, true},
    {"usage", the_log, "", "CPU-, memory- and GPU-hours, held and idle",
     usage_options, usage_examples, 0, 0, Complete::nothing, false, true},
    {"whatif", the_log, "", "the same sessions, another cluster or policy",
     whatif_options, whatif_examples, 0, 0, Complete::nothing, false, true},
};

}  // namespace

std::span<const CommandSpec> all_commands() {
  return command_table;
}
std::span<const OptionSpec> common_options() {
  return options_of_all;
}
std::span<const OptionSpec> session_options() {
  return session;
}

}  // namespace reeve::tools
