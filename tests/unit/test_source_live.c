/* Needs CAP_NET_RAW, and CAP_SYS_ADMIN for the tests that take an interface away; each says so and is skipped
 * without. */
#include "capture/source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { DATAGRAMS = 500, PAYLOAD_BYTES = 333 };

static void skip_because(const char *why)
{
	print_message("SKIPPED: %s\n", why);
	skip();
}

static struct source *open_live(const char *iface, const char *filter)
{
	struct source *src = NULL;
	struct err err = {0};
	struct source_conf conf = {
	    .iface = iface, .filter = filter, .input = 3, .ring_bytes = 4 * 1024 * 1024};
	int r = source_open(&src, &conf, &err);
	if (r == -EPERM)
		skip_because(err.text);
	if (r)
		fail_msg("%s", err.text);
	return src;
}

/* A bound UDP socket on 127.0.0.1 to send to, so that nobody answers with ICMP. */
static int bound_socket(struct sockaddr_in *ret_to)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof *ret_to;
	*ret_to = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)ret_to, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret_to, &n), 0);
	return fd;
}

static void send_datagrams(int fd, const struct sockaddr_in *to, int n)
{
	uint8_t payload[PAYLOAD_BYTES];
	memset(payload, 0x5a, sizeof payload);
	for (int i = 0; i < n; i++)
		assert_int_equal(
		    sendto(fd, payload, sizeof payload, 0, (const struct sockaddr *)to, sizeof *to),
		    sizeof payload);
}

/* Datagrams to port in a burst; on lo each is seen once (libpcap leaves out the outgoing copy). */
static int count_ours(const struct packet *pkts, int n, uint16_t port, uint64_t from_ns)
{
	int ours = 0;
	for (int i = 0; i < n; i++) {
		assert_int_equal(pkts[i].link, PACKET_LINK_ETHERNET);
		assert_int_equal(pkts[i].input, 3);
		assert_int_equal(pkts[i].len, 14 + 20 + 8 + PAYLOAD_BYTES);
		assert_int_equal(pkts[i].caplen, pkts[i].len);
		assert_int_equal(pkts[i].data[14 + 22] << 8 | pkts[i].data[14 + 23], port);
		assert_int_equal(pkts[i].data[14 + 28], 0x5a);
		assert_int_equal(pkts[i].data[pkts[i].len - 1], 0x5a);
		assert_in_range(pkts[i].ts_ns, from_ns, from_ns + UINT64_C(60000000000));
		ours++;
	}
	return ours;
}

static void poll__own_datagrams_on_lo__all_counted_and_drained_after_break(void **state)
{
	(void)state;
	struct sockaddr_in to;
	struct timespec now;
	char filter[64];
	int fd = bound_socket(&to);
	uint16_t port = ntohs(to.sin_port);
	snprintf(filter, sizeof filter, "udp and dst port %u", port);
	struct source *src = open_live("lo", filter);
	struct packet pkts[SOURCE_BURST];
	struct source_stats st;
	struct err err;
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t from_ns = (uint64_t)now.tv_sec * 1000000000u - 1000000000u;
	send_datagrams(fd, &to, DATAGRAMS / 2);
	int ours = 0, n;
	for (int polls = 0; ours < DATAGRAMS / 2 && polls < 100; polls++) {
		n = source_poll(src, pkts, &err);
		assert_true(n >= 0 && n <= SOURCE_BURST);
		ours += count_ours(pkts, n, port, from_ns);
	}
	assert_int_equal(ours, DATAGRAMS / 2);
	/* What lies in the kernel when source_break comes is still handed out. */
	send_datagrams(fd, &to, DATAGRAMS / 2);
	source_break(src);
	while ((n = source_poll(src, pkts, &err)) >= 0)
		ours += count_ours(pkts, n, port, from_ns);
	assert_int_equal(n, -ENODATA);
	assert_int_equal(source_poll(src, pkts, &err), -ENODATA);
	assert_int_equal(ours, DATAGRAMS);
	source_stats(src, &st);
	assert_int_equal(st.packets, DATAGRAMS);
	assert_int_equal(st.bytes, DATAGRAMS * (14 + 20 + 8 + PAYLOAD_BYTES));
	assert_int_equal(st.kernel_drops, 0);
	assert_string_equal(source_input_name(src, 3), "lo");
	source_close(src);
	close(fd);
}

static void poll__snaplen__captured_cut_wire_length_kept(void **state)
{
	(void)state;
	struct sockaddr_in to;
	int fd = bound_socket(&to);
	char filter[64];
	struct source *src;
	struct packet pkts[SOURCE_BURST];
	struct err err;
	snprintf(filter, sizeof filter, "udp and dst port %u", ntohs(to.sin_port));
	struct source_conf conf = {.iface = "lo", .filter = filter, .snaplen_bytes = 96};
	int r = source_open(&src, &conf, &err);
	if (r == -EPERM)
		skip_because(err.text);
	assert_int_equal(r, 0);
	send_datagrams(fd, &to, 1);
	int n = 0;
	for (int polls = 0; n == 0 && polls < 50; polls++)
		n = source_poll(src, pkts, &err);
	assert_int_equal(n, 1);
	assert_int_equal(pkts[0].caplen, 96);
	assert_int_equal(pkts[0].len, 14 + 20 + 8 + PAYLOAD_BYTES);
	source_close(src);
	close(fd);
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct source *to_break;

static void break_from_signal(int sig)
{
	(void)sig;
	source_break(to_break);
}

static void poll__silent_line__waits_a_tick_and_signal_breaks_it(void **state)
{
	(void)state;
	struct packet pkts[SOURCE_BURST];
	struct err err;
	struct source *src =
	    open_live("lo", "ether proto 0x88b5"); /* for local experiments: nobody sends it */
	double start = seconds();
	assert_int_equal(source_poll(src, pkts, &err), 0);
	assert_true(seconds() - start > 0.05 && seconds() - start < 1);
	to_break = src;
	struct sigaction act = {.sa_handler = break_from_signal};
	sigaction(SIGALRM, &act, NULL);
	ualarm(150000, 0);
	start = seconds();
	int n;
	while ((n = source_poll(src, pkts, &err)) == 0 && seconds() - start < 5)
		;
	assert_int_equal(n, -ENODATA);
	assert_true(seconds() - start < 2);
	source_close(src);
}

static void open__wrong_interface_or_filter__said_so(void **state)
{
	(void)state;
	struct source *src;
	struct err err;
	source_close(open_live("lo", NULL)); /* skips where nothing may be opened */
	assert_int_equal(source_open(&src, &(struct source_conf){.iface = "nosuch0"}, &err), -ENODEV);
	assert_non_null(strstr(err.text, "nosuch0"));
	assert_int_equal(source_open(&src, &(struct source_conf){.iface = "lo", .filter = "tcp or or"}, &err),
			 LT_EFILTER);
	assert_non_null(strstr(err.text, "tcp or or"));
}

/* Runs fn in a child with its own network namespace; the child's exit status is the verdict, 77 skips. */
static void in_namespace(int (*fn)(void))
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWNET) ? 77 : fn());
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip_because("no network namespace or interface of our own can be made (CAP_SYS_ADMIN)");
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Polls until something else than "nothing now" comes, at most 5 s. */
static int poll_until_end(struct source *src, struct err *err)
{
	struct packet pkts[SOURCE_BURST];
	double start = seconds();
	int n = 0;
	while (n >= 0 && seconds() - start < 5)
		n = source_poll(src, pkts, err);
	return n;
}

static int child_interface_deleted(void)
{
	struct source *src;
	struct err err;
	if (system("ip link add lt0 type veth peer name lt1 && ip link set lt0 up && ip link set lt1 up"))
		return 77;
	if (source_open(&src, &(struct source_conf){.iface = "lt0"}, &err))
		return 1;
	if (system("ip link del lt0"))
		return 77;
	int r = poll_until_end(src, &err);
	if (r != LT_EGONE || !strstr(err.text, "lt0")) {
		fprintf(stderr, "%d %s\n", r, err.text);
		return 2;
	}
	source_close(src);
	return 0;
}

static void poll__interface_deleted__gone(void **state)
{
	(void)state;
	in_namespace(child_interface_deleted);
}

/* n frames of the local experimental ethertype out of iface. */
static bool send_frames(const char *iface, int n)
{
	uint8_t frame[900] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(iface)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	bool sent = true;
	for (int i = 0; i < n; i++)
		sent =
		    sendto(fd, frame, sizeof frame, 0, (struct sockaddr *)&to, sizeof to) == sizeof frame &&
		    sent;
	close(fd);
	return sent;
}

enum { FLOOD = 20000 };

/* On a pair of its own, not on lo, where the kernel also counts the outgoing copies that libpcap leaves out.
 */
static int child_flooded(void)
{
	struct source *src;
	struct source_stats st;
	struct packet pkts[SOURCE_BURST];
	struct err err;
	struct source_conf conf = {.iface = "lt0", .filter = "ether proto 0x88b5", .ring_bytes = 512 * 1024};
	if (system("ip link add lt0 type veth peer name lt1 && ip link set lt0 up && ip link set lt1 up"))
		return 77;
	if (source_open(&src, &conf, &err) || !send_frames("lt1", FLOOD))
		return 1;
	uint64_t got = 0;
	source_break(src);
	for (int n; (n = source_poll(src, pkts, &err)) >= 0;)
		got += (uint64_t)n;
	source_stats(src, &st);
	uint64_t drops = st.kernel_drops;
	source_stats(src, &st);
	source_close(src);
	fprintf(stderr, "%d sent: %llu read, %llu dropped\n", FLOOD, (unsigned long long)got,
		(unsigned long long)drops);
	if (got != st.packets || got == 0 || drops == 0 || drops != st.kernel_drops)
		return 2;
	return got + drops == FLOOD ? 0 : 3;
}

static void poll__ring_too_small__every_loss_counted(void **state)
{
	(void)state;
	in_namespace(child_flooded);
}

static int child_interface_down_and_up(void)
{
	struct source *src;
	struct packet pkts[SOURCE_BURST];
	struct err err;
	if (system("ip link add lt0 type veth peer name lt1 && ip link set lt0 up && ip link set lt1 up"))
		return 77;
	if (source_open(&src, &(struct source_conf){.iface = "lt0", .filter = "ether proto 0x88b5"}, &err))
		return 1;
	if (system("ip link set lt0 down"))
		return 77;
	double start = seconds();
	int polls = 0;
	for (; seconds() - start < 1; polls++)
		if (source_poll(src, pkts, &err))
			return 2;
	if (polls > 30)
		return 3; /* spins instead of waiting */
	if (system("ip link set lt0 up"))
		return 77;
	for (start = seconds(); seconds() - start < 5;) {
		send_frames("lt1", 1);
		int n = source_poll(src, pkts, &err);
		if (n) {
			bool ours = n > 0 && pkts[0].data[12] == 0x88;
			source_close(src);
			return ours ? 0 : 4;
		}
	}
	return 5;
}

static void poll__interface_down_and_up_again__waits_and_goes_on(void **state)
{
	(void)state;
	in_namespace(child_interface_down_and_up);
}

static int set_capabilities(uint32_t effective)
{
	struct __user_cap_header_struct hdr = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {{.effective = effective, .permitted = effective}, {0}};
	return (int)syscall(SYS_capset, &hdr, caps);
}

static int child_without_capabilities(void)
{
	struct source *src;
	struct err err;
	if (set_capabilities(0))
		return 77;
	if (source_open(&src, &(struct source_conf){.iface = "lo"}, &err) != -EPERM)
		return 1;
	return strstr(err.text, "CAP_NET_RAW") ? 0 : 2;
}

static void open__without_capability__told_which(void **state)
{
	(void)state;
	in_namespace(child_without_capabilities);
}

static int child_with_net_raw_only(void)
{
	struct source *src;
	struct source_stats st;
	struct err err;
	if (system("ip link set lo up") || set_capabilities(1u << CAP_NET_RAW))
		return 77;
	if (source_open(&src, &(struct source_conf){.iface = "lo"}, &err))
		return 1;
	set_capabilities(0);
	struct sockaddr_in to;
	int fd = bound_socket(&to);
	send_datagrams(fd, &to, 3);
	struct packet pkts[SOURCE_BURST];
	int got = 0;
	for (int polls = 0; got < 3 && polls < 30; polls++) {
		int n = source_poll(src, pkts, &err);
		if (n < 0)
			return 2;
		got += n;
	}
	source_stats(src, &st);
	source_close(src);
	return got == 3 && st.packets == 3 ? 0 : 3;
}

static void open__net_raw_alone__enough_and_droppable(void **state)
{
	(void)state;
	in_namespace(child_with_net_raw_only);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(poll__own_datagrams_on_lo__all_counted_and_drained_after_break),
	    cmocka_unit_test(poll__snaplen__captured_cut_wire_length_kept),
	    cmocka_unit_test(poll__ring_too_small__every_loss_counted),
	    cmocka_unit_test(poll__silent_line__waits_a_tick_and_signal_breaks_it),
	    cmocka_unit_test(open__wrong_interface_or_filter__said_so),
	    cmocka_unit_test(poll__interface_deleted__gone),
	    cmocka_unit_test(poll__interface_down_and_up_again__waits_and_goes_on),
	    cmocka_unit_test(open__without_capability__told_which),
	    cmocka_unit_test(open__net_raw_alone__enough_and_droppable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
