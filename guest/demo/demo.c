// SPDX-License-Identifier: GPL-2.0
/*
 * Frames from a camera to a display in buffers of a dma-buf heap, without a copy
 * by the CPU, twice: as they are, and through an encoder and a decoder.
 *
 * The streaming process maps no buffer. A checker in a process of its own maps
 * them all and compares pixels; see check.c.
 */

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo.h"

struct options opt = { .heap = "rcar", .out = ".", .frames = 60 };

static const char * const fault_names[] = {
	[FAULT_PIXEL] = "pixel",
	[FAULT_STALE] = "stale",
	[FAULT_COPY] = "copy",
	[FAULT_MAP] = "map",
	[FAULT_PEEK] = "peek",
	[FAULT_STILL] = "still",
	[FAULT_CODEC] = "codec",
	[FAULT_BLANK] = "blank",
	[FAULT_STALL] = "stall",
};

void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "demo: error: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(1);
}

void fail_errno(const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "demo: error: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, ": %s (errno %d)\n", strerror(err), err);
	va_end(ap);
	exit(1);
}

void progress(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "demo: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
}

void await(int fd, short events, const char *what)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do {
		n = poll(&p, 1, STEP_MS);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		fail_errno("%s: poll", what);
	if (n == 0)
		fail("%s did not come within %d s", what, STEP_MS / 1000);
	if (!(p.revents & events))
		fail("%s will not come: poll gives %#x", what, p.revents);
}

static const char usage[] =
	"usage: demo [--heap NAME] [--frames N] [--out DIR] [--fault NAME]\n"
	"\n"
	"  --heap NAME    /dev/dma_heap/NAME serves all buffers (default rcar)\n"
	"  --frames N     frames through each of the two chains (default 60)\n"
	"  --out DIR      for demo.json and the pictures (default .)\n"
	"  --fault NAME   self-test: plant a fault, which must make the run fail\n"
	"                 pixel  one bit of one pixel of what the display showed flips\n"
	"                 stale  one frame is never shown\n"
	"                 copy   the display is given a copy of one frame\n"
	"                 map    the streaming process maps a buffer for one frame\n"
	"                 peek   it maps and unmaps one between two looks at its maps\n"
	"                 still  the camera's picture does not change\n"
	"                 codec  a part of one decoded frame goes black\n"
	"                 blank  the pictures kept of the camera are black\n"
	"                 stall  the camera gets no buffer back\n"
	"\n"
	"Exit status: 0 all held, 1 something did not, 2 usage\n";

static void usage_error(const char *what, const char *arg)
{
	fprintf(stderr, "demo: %s '%s'\ndemo: try --help\n", what, arg);
	exit(2);
}

static enum fault fault_of(const char *name)
{
	unsigned int i;

	for (i = 1; i < ARRAY_SIZE(fault_names); i++)
		if (strcmp(fault_names[i], name) == 0)
			return i;
	usage_error("no such fault", name);
	return FAULT_NONE;
}

static void options(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "heap", required_argument, NULL, 'e' },
		{ "frames", required_argument, NULL, 'n' },
		{ "out", required_argument, NULL, 'o' },
		{ "fault", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	unsigned long frames;
	char *end;
	int o;

	while ((o = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
		switch (o) {
		case 'e':
			opt.heap = optarg;
			break;
		case 'n':
			frames = strtoul(optarg, &end, 10);
			if (*end || frames < 2 || frames > 100000)
				usage_error("--frames wants 2 to 100000, not", optarg);
			opt.frames = frames;
			break;
		case 'o':
			opt.out = optarg;
			break;
		case 'f':
			opt.fault = fault_of(optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			exit(2);
		}
	}
	if (optind < argc)
		usage_error("unexpected argument", argv[optind]);
}

int main(int argc, char **argv)
{
	static struct chain chains[] = {
		{
			.name = "lossless",
			.about = "camera, display",
			.format = "AR24",
		}, {
			.name = "codec",
			.about = "camera, encoder, decoder, display",
			.format = "RG24",
			.lossy = true,
		},
	};
	bool good;

	options(argc, argv);
	checker_start();
	run_lossless(&chains[0]);
	run_codec(&chains[1]);
	checker_stop();
	good = report(chains, ARRAY_SIZE(chains));
	return good ? 0 : 1;
}
