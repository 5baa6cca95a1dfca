#include "detect/app/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "detect/sinks/sink.h"

static const char help[] =
	"leaktap - who sent how much to which cloud account, from packets and endpoint events\n"
	"\n"
	"  leaktap -r FILE|DIR|-  [--endpoint SRC]... [options] [BPF ...]   replay captures once\n"
	"  leaktap -i IFACE       [--endpoint SRC]... [options] [BPF ...]   live sensor; repeat -i for several\n"
	"  leaktap hunt -r FILE --endpoint SRC --device NAME|IP --at TIME [--window 2m]\n"
	"  leaktap ingest --redis URL SRC...                                endpoint events into Redis, no packets\n"
	"  leaktap lists check FILE...                                      check watch lists, line:column\n"
	"\n"
	"input\n"
	"  -r, --read FILE|DIR|-    capture (pcap, pcapng; plain, gzip, zstd); repeatable, merged by time\n"
	"  -i, --interface IFACE    capture live; CAP_NET_RAW is enough\n"
	"      --endpoint SRC       endpoint events: file, directory or - (Defender, Sysmon, Security; JSON or CSV)\n"
	"                           ingest also takes redis-list:KEY, redis-stream:KEY and kafka://broker[,broker]/topic;\n"
	"                           with one of these or a directory it runs until SIGTERM and follows what grows and rotates\n"
	"      --tz ZONE            zone of exports that carry none: Europe/Berlin, +02:00, UTC\n"
	"  -k                       verify checksums (off: offload would drop what was really sent)\n"
	"\n"
	"join\n"
	"      --redis URL          redis://, rediss://, unix:///path, cluster://host:port,...\n"
	"                           (without it a private server is started where one is needed)\n"
	"      --join matter|all    which flows enter the join (matter: catalogued or large uploads)\n"
	"\n"
	"output\n"
	"  -o, --output FILE|-      records; without it a table on a terminal, else NDJSON\n"
	"      --format eve|ecs|ocsf|cef\n"
	"      --records LIST       of flow,alert,attribution,stats (all)\n"
	"      --report FILE.html   self-contained report\n"
	"      --fail-on low|medium|high   exit 10 when such a finding exists\n"
	"\n"
	"other\n"
	"  -c, --config FILE        YAML configuration\n"
	"  -T                       test the configuration and stop\n"
	"  -q, -v, --no-progress, --version, --help\n"
	"\n"
	"exit: 0 done, 1 runtime error, 2 usage or not a capture, 3 input truncated (results are written),\n"
	"      10 see --fail-on (before 3), 75 restart me\n";

static const char short_help[] =
	"leaktap: who sent how much to which cloud account, from packets and endpoint events. Try:\n"
	"  leaktap -r traffic.pcapng                                  names, bytes and findings of a capture\n"
	"  leaktap -r traffic.pcapng --endpoint sysmon.json --report out.html    and which process it was\n"
	"  leaktap -i eth0 -o eve.json                                watch an interface\n"
	"leaktap --help tells the rest.\n";

enum { OPT_ENDPOINT = 256, OPT_TZ, OPT_REDIS, OPT_JOIN, OPT_FORMAT, OPT_RECORDS, OPT_REPORT, OPT_FAIL_ON,
       OPT_NO_PROGRESS, OPT_VERSION, OPT_HELP, OPT_DEVICE, OPT_AT, OPT_WINDOW };

static const struct option options[] = {
	{"read", required_argument, NULL, 'r'},
	{"interface", required_argument, NULL, 'i'},
	{"endpoint", required_argument, NULL, OPT_ENDPOINT},
	{"tz", required_argument, NULL, OPT_TZ},
	{"redis", required_argument, NULL, OPT_REDIS},
	{"join", required_argument, NULL, OPT_JOIN},
	{"output", required_argument, NULL, 'o'},
	{"format", required_argument, NULL, OPT_FORMAT},
	{"records", required_argument, NULL, OPT_RECORDS},
	{"report", required_argument, NULL, OPT_REPORT},
	{"fail-on", required_argument, NULL, OPT_FAIL_ON},
	{"config", required_argument, NULL, 'c'},
	{"no-progress", no_argument, NULL, OPT_NO_PROGRESS},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, OPT_HELP},
	{"device", required_argument, NULL, OPT_DEVICE},
	{"at", required_argument, NULL, OPT_AT},
	{"window", required_argument, NULL, OPT_WINDOW},
	{NULL, 0, NULL, 0},
};

static int add_input(const char **list, size_t *n, size_t max, const char *what, const char *value, struct err *err)
{
	if (*n == max)
		return err_set(err, LT_EUSAGE, "more than %zu %s; name a directory instead", max, what);
	list[(*n)++] = value;
	return 0;
}

static int parse_records(unsigned *ret, const char *list, struct err *err)
{
	static const struct {
		const char *word;
		unsigned bit;
	} words[] = {{"flow", SINK_FLOW}, {"alert", SINK_ALERT}, {"attribution", SINK_ATTRIBUTION}, {"stats", SINK_STATS}};
	unsigned bits = 0;
	for (const char *p = list; *p;) {
		size_t n = strcspn(p, ","), i = 0;
		for (; i < sizeof words / sizeof *words; i++)
			if (strlen(words[i].word) == n && !strncmp(p, words[i].word, n))
				break;
		if (i == sizeof words / sizeof *words)
			return err_set(err, LT_EUSAGE, "--records %s: '%.*s' is none of flow, alert, attribution, stats", list,
				       (int)n, p);
		bits |= words[i].bit;
		p += n;
		p += *p == ',';
	}
	if (!bits)
		return err_set(err, LT_EUSAGE, "--records needs at least one of flow, alert, attribution, stats");
	*ret = bits;
	return 0;
}

static int parse_choice(const char *option, const char *value, const char *const *words, struct err *err)
{
	char all[128] = "";
	for (int i = 0; words[i]; i++) {
		if (!strcmp(value, words[i]))
			return i;
		size_t at = strlen(all);
		snprintf(all + at, sizeof all - at, "%s%s", i ? ", " : "", words[i]);
	}
	return err_set(err, LT_EUSAGE, "%s %s: give one of %s", option, value, all);
}

static int parse_worded(struct cli *cli, int opt, struct err *err)
{
	static const char *const formats[] = {"eve", "ecs", "ocsf", "cef", NULL};
	static const char *const joins[] = {"matter", "all", NULL};
	static const char *const severities[] = {"high", "medium", "low", NULL};
	int i;
	switch (opt) {
	case OPT_FORMAT:
		i = parse_choice("--format", optarg, formats, err);
		cli->format = i < 0 ? NULL : formats[i];
		return i < 0 ? i : 0;
	case OPT_JOIN:
		i = parse_choice("--join", optarg, joins, err);
		cli->join_all = i == 1;
		cli->join_given = true;
		return i < 0 ? i : 0;
	case OPT_FAIL_ON:
		i = parse_choice("--fail-on", optarg, severities, err);
		cli->fail_on = i + 1;
		return i < 0 ? i : 0;
	default:
		return parse_records(&cli->records, optarg, err);
	}
}

static int apply(struct cli *cli, int opt, struct err *err)
{
	switch (opt) {
	case 'r':
		return add_input(cli->captures, &cli->n_captures, CLI_MAX_INPUTS, "captures", optarg, err);
	case 'i':
		return add_input(cli->ifaces, &cli->n_ifaces, CLI_MAX_IFACES, "interfaces", optarg, err);
	case OPT_ENDPOINT:
		return add_input(cli->endpoints, &cli->n_endpoints, CLI_MAX_INPUTS, "endpoint sources", optarg, err);
	case OPT_FORMAT:
	case OPT_JOIN:
	case OPT_FAIL_ON:
	case OPT_RECORDS:
		return parse_worded(cli, opt, err);
	case 'c':
		cli->config = optarg;
		return 0;
	case 'o':
		cli->output = optarg;
		return 0;
	case OPT_TZ:
		cli->zone = optarg;
		return 0;
	case OPT_REDIS:
		cli->redis = optarg;
		return 0;
	case OPT_REPORT:
		cli->report = optarg;
		return 0;
	case OPT_DEVICE:
		cli->device = optarg;
		return 0;
	case OPT_AT:
		cli->at = optarg;
		return 0;
	case OPT_WINDOW:
		cli->window = optarg;
		return 0;
	case 'k':
		cli->verify_checksums = true;
		return 0;
	case 'T':
		cli->test_config = true;
		return 0;
	case 'q':
		cli->quiet = true;
		return 0;
	case 'v':
		cli->verbose = true;
		return 0;
	case OPT_NO_PROGRESS:
		cli->no_progress = true;
		return 0;
	case OPT_VERSION:
		cli->command = CLI_VERSION;
		return 0;
	case OPT_HELP:
		cli->command = CLI_HELP;
		return 0;
	}
	return err_set(err, LT_EUSAGE, "unknown option; leaktap --help lists them");
}

/* What is left over is the packet filter; an existing file there is a mistake worth catching. */
static int take_filter(struct cli *cli, int argc, char **argv, struct err *err)
{
	size_t at = 0;
	for (int i = optind; i < argc; i++) {
		if (access(argv[i], F_OK) == 0)
			return err_set(err, LT_EUSAGE, "'%s' is a file; did you mean -r %s?", argv[i], argv[i]);
		int n = snprintf(cli->filter + at, sizeof cli->filter - at, "%s%s", at ? " " : "", argv[i]);
		if (n < 0 || (size_t)n >= sizeof cli->filter - at)
			return err_set(err, LT_EUSAGE, "packet filter longer than %zu characters", sizeof cli->filter - 1);
		at += (size_t)n;
	}
	return 0;
}

static int check_inputs(struct cli *cli, struct err *err)
{
	if (cli->command == CLI_HELP || cli->command == CLI_VERSION)
		return 0;
	if (cli->n_captures && cli->n_ifaces)
		return err_set(err, LT_EUSAGE, "-r replays, -i captures live: give one of them");
	if (!cli->n_captures && !cli->n_ifaces && !cli->test_config)
		return err_set(err, LT_EUSAGE, "nothing to read: give -r FILE or -i IFACE (leaktap --help)");
	size_t stdins = 0;
	for (size_t i = 0; i < cli->n_captures; i++)
		stdins += !strcmp(cli->captures[i], "-");
	for (size_t i = 0; i < cli->n_endpoints; i++)
		stdins += !strcmp(cli->endpoints[i], "-");
	if (stdins > 1)
		return err_set(err, LT_EUSAGE, "'-' (standard input) can be read once only");
	if (cli->command == CLI_HUNT) {
		if (!cli->n_captures || !cli->n_endpoints)
			return err_set(err, LT_EUSAGE, "hunt needs -r FILE and --endpoint SRC (a hunt over Redis alone is not in this version)");
		if (cli->output)
			return err_set(err, LT_EUSAGE, "hunt answers on standard output: leave -o out (--report writes a file)");
		if (!cli->device || !cli->at)
			return err_set(err, LT_EUSAGE, "hunt needs --device NAME|IP and --at TIME");
		return 0;
	}
	if (cli->device || cli->at || cli->window)
		return err_set(err, LT_EUSAGE, "--device, --at and --window belong to leaktap hunt");
	cli->command = cli->n_ifaces ? CLI_LIVE : CLI_REPLAY;
	return 0;
}

/* What is left over are the sources. */
static int take_sources(struct cli *cli, int argc, char **argv, struct err *err)
{
	for (int i = optind; i < argc; i++) {
		int r = add_input(cli->endpoints, &cli->n_endpoints, CLI_MAX_INPUTS, "endpoint sources", argv[i], err);
		if (r)
			return r;
	}
	if (cli->n_captures || cli->n_ifaces)
		return err_set(err, LT_EUSAGE, "ingest reads no packets: leave -r and -i out");
	if (!cli->redis && !cli->test_config)
		return err_set(err, LT_EUSAGE, "ingest needs --redis URL");
	if (!cli->n_endpoints && !cli->test_config)
		return err_set(err, LT_EUSAGE, "ingest needs a source: a file, a directory, -, redis-list:KEY, redis-stream:KEY, kafka://broker/topic");
	return 0;
}

static int parse_lists(struct cli *cli, int argc, char **argv, struct err *err)
{
	if (argc < 4 || strcmp(argv[2], "check"))
		return err_set(err, LT_EUSAGE, "usage: leaktap lists check FILE...");
	cli->command = CLI_LISTS_CHECK;
	for (int i = 3; i < argc; i++) {
		int r = add_input(cli->files, &cli->n_files, CLI_MAX_INPUTS, "files", argv[i], err);
		if (r)
			return r;
	}
	return 0;
}

static int parse_options(struct cli *cli, int argc, char **argv, struct err *err)
{
	opterr = 0;
	optind = 1;
	for (int opt; (opt = getopt_long(argc, argv, ":r:i:c:o:kTqv", options, NULL)) != -1;) {
		int r;
		if (opt == '?')
			r = err_set(err, LT_EUSAGE, "unknown option %s; leaktap --help lists them", argv[optind - 1]);
		else if (opt == ':')
			r = err_set(err, LT_EUSAGE, "%s needs a value", argv[optind - 1]);
		else
			r = apply(cli, opt, err);
		if (r)
			return r;
	}
	if (cli->command == CLI_INGEST)
		return take_sources(cli, argc, argv, err);
	if (cli->command == CLI_HELP || cli->command == CLI_VERSION)
		return 0;
	int r = take_filter(cli, argc, argv, err);
	return r ? r : check_inputs(cli, err);
}

int cli_parse(struct cli *cli, int argc, char **argv, struct err *err)
{
	memset(cli, 0, sizeof *cli);
	cli->command = CLI_REPLAY;
	cli->records = SINK_ALL;
	cli->format = "eve";
	if (argc < 2) {
		cli->command = CLI_USAGE;
		return 0;
	}
	if (!strcmp(argv[1], "lists"))
		return parse_lists(cli, argc, argv, err);
	if (!strcmp(argv[1], "hunt")) {
		cli->command = CLI_HUNT;
		return parse_options(cli, argc - 1, argv + 1, err);
	}
	if (!strcmp(argv[1], "ingest")) {
		cli->command = CLI_INGEST;
		return parse_options(cli, argc - 1, argv + 1, err);
	}
	return parse_options(cli, argc, argv, err);
}

const char *cli_help(void)
{
	return help;
}

const char *cli_short_help(void)
{
	return short_help;
}
