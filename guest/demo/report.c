// SPDX-License-Identifier: GPL-2.0
/* The table, the figures in demo.json, and the verdict. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "demo.h"

#define FAILURES_MAX	32

static char failures[FAILURES_MAX][160];
static unsigned int nfailures;

static void __attribute__((format(printf, 2, 3)))
failed(const struct chain *c, const char *fmt, ...)
{
	char *text = failures[nfailures];
	va_list ap;
	int n;

	if (nfailures == FAILURES_MAX)
		return;
	nfailures++;
	n = snprintf(text, sizeof(failures[0]), "%s: ", c->name);
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(failures[0]) - n, fmt, ap);
	va_end(ap);
}

static unsigned int strangers(const struct chain *c)
{
	unsigned int i, n = 0;

	for (i = 0; i < c->nstages; i++)
		n += c->stages[i].strangers;
	return n;
}

/*
 * A copy needs a second buffer, or a mapping of the first by the process that
 * streams: each sign of either counts as one.
 */
static unsigned int chain_copies(const struct chain *c)
{
	return strangers(c) + c->mapped + (c->growth >= c->frame_bytes);
}

static void judge(const struct chain *c)
{
	unsigned int i;

	if (c->frames != opt.frames)
		failed(c, "%u frames, not %u", c->frames, opt.frames);
	if (c->compared != (uint64_t)c->frames * PIXELS)
		failed(c, "only %" PRIu64 " pixels were compared", c->compared);
	if (c->differing)
		failed(c, "pixels that differ: %" PRIu64, c->differing);
	if (c->unlike_previous + 1 != c->frames)
		failed(c, "frames equal to the one before: %u",
		       c->frames - 1 - c->unlike_previous);
	if (strangers(c))
		failed(c, "times a stage worked on another buffer: %u", strangers(c));
	if (c->mapped)
		failed(c, "dma-bufs seen in the maps of the streaming process: %u",
		       c->mapped);
	if (c->growth >= c->frame_bytes)
		failed(c, "the streaming process grew by %zu bytes, room for a mapped frame",
		       c->growth);
	if (c->looks < c->frames)
		failed(c, "only %u looks at the maps", c->looks);
	if (c->unattached)
		failed(c, "attachments that debugfs does not list: %u", c->unattached);
	for (i = 0; i < 2; i++)
		if (c->colours[i] < COLOURS_LEAST)
			failed(c, "colours in the picture of the %s: only %u",
			       i ? "display" : "camera", c->colours[i]);
	if (c->lossy && c->psnr_min < PSNR_LEAST)
		failed(c, "PSNR is as low as %.1f dB", c->psnr_min);
}

static double rate(unsigned int n, double seconds)
{
	return seconds > 0 ? n / seconds : 0;
}

static void table_chain(const struct chain *c)
{
	unsigned int i;

	printf("\n%s on %s: %s; %u frames of %ux%u %s\n\n", c->name, opt.heap, c->about,
	       c->frames, WIDTH, HEIGHT, c->format);
	printf("  %-11s %-8s %-12s %-14s %9s %7s %7s %7s\n", "stage", "driver", "device",
	       "heap buffers", "MB", "fps", "copies", "pixels");
	printf("  %-11s %-8s %-12s %-14s %9s %7s %7s %7s\n", "", "", "", "", "", "",
	       "by CPU", "differ");
	for (i = 0; i < c->nstages; i++) {
		const struct stage *s = &c->stages[i];
		bool shared = i && s->bufs == c->stages[i - 1].bufs;
		char bufs[32], differ[32] = "-";

		snprintf(bufs, sizeof(bufs), "%u x %.2f MB", s->count,
			 s->bufs[0].size / 1e6);
		if (i == c->nstages - 1)
			snprintf(differ, sizeof(differ), "%" PRIu64, c->differing);
		printf("  %-11s %-8s %-12s %-14s %9.1f %7.1f %7u %7s\n", s->name,
		       s->driver, strrchr(s->device, '/') + 1,
		       shared ? "the same" : bufs, s->bytes / 1e6,
		       rate(s->passed, s->seconds), s->strangers, differ);
	}
	printf("  %-11s %-8s %-12s %-14s %9s %7.1f %7u %7" PRIu64 "\n", "with checks", "", "", "",
	       "", rate(c->frames, c->seconds), chain_copies(c), c->differing);
	printf("\n  dma-bufs mapped by the streaming process: %u seen in %u looks; "
	       "it grew by %zu kB\n", c->mapped, c->looks, c->growth / 1000);
	printf("  buffers that were not the expected one: %u of %u\n", strangers(c),
	       c->inodes_compared);
	printf("  attachments that debugfs should list and does not: %u\n", c->unattached);
	printf("  frames unlike the one before: %u of %u\n", c->unlike_previous,
	       c->frames ? c->frames - 1 : 0);
	if (!c->lossy)
		return;
	printf("  decoded against camera: PSNR %.1f dB at least, %.1f dB on average\n",
	       c->psnr_min, c->psnr_sum / c->frames);
}

static void json_buffers(FILE *f, const struct stage *s)
{
	unsigned int i, k;

	for (i = 0; i < s->count; i++) {
		const struct buffer *b = &s->bufs[i];

		fprintf(f, "%s{\"inode\": %" PRIu64 ", \"bytes\": %zu, \"attached\": [",
			i ? ", " : "", b->ino, b->size);
		for (k = 0; k < NAMES_MAX && b->attached[k][0]; k++)
			fprintf(f, "%s\"%s\"", k ? ", " : "", b->attached[k]);
		fprintf(f, "]}");
	}
}

static void json_chain(FILE *f, const struct chain *c)
{
	unsigned int i;

	fprintf(f, "    {\n      \"name\": \"%s\",\n      \"heap\": \"%s\",\n",
		c->name, opt.heap);
	fprintf(f, "      \"format\": \"%s\",\n", c->format);
	fprintf(f, "      \"frames\": %u,\n      \"frames_unlike_previous\": %u,\n",
		c->frames, c->unlike_previous);
	fprintf(f, "      \"seconds\": %.3f,\n      \"fps\": %.2f,\n", c->seconds,
		rate(c->frames, c->seconds));
	fprintf(f, "      \"pixels_compared\": %" PRIu64 ",\n", c->compared);
	fprintf(f, "      \"pixels_differing\": %" PRIu64 ",\n", c->differing);
	if (c->lossy)
		fprintf(f, "      \"psnr_min_db\": %.2f,\n      \"psnr_avg_db\": %.2f,\n",
			c->psnr_min, c->psnr_sum / c->frames);
	fprintf(f, "      \"cpu_copies\": %u,\n", chain_copies(c));
	fprintf(f, "      \"looks_at_maps\": %u,\n      \"dmabufs_mapped\": %u,\n",
		c->looks, c->mapped);
	fprintf(f, "      \"address_space_growth\": %zu,\n", c->growth);
	fprintf(f, "      \"inodes_compared\": %u,\n      \"inodes_differing\": %u,\n",
		c->inodes_compared, strangers(c));
	fprintf(f, "      \"attachments_missing\": %u,\n", c->unattached);
	fprintf(f, "      \"picture_colours\": {\"camera\": %u, \"display\": %u},\n",
		c->colours[0], c->colours[1]);
	fprintf(f, "      \"stages\": [\n");
	for (i = 0; i < c->nstages; i++) {
		const struct stage *s = &c->stages[i];

		fprintf(f, "        {\"stage\": \"%s\", \"driver\": \"%s\", "
			"\"device\": \"%s\",\n         \"bytes\": %" PRIu64
			", \"fps\": %.2f, \"inodes_differing\": %u,\n         \"buffers\": [",
			s->name, s->driver, s->device, s->bytes,
			rate(s->passed, s->seconds), s->strangers);
		json_buffers(f, s);
		fprintf(f, "]}%s\n", i + 1 < c->nstages ? "," : "");
	}
	fprintf(f, "      ]\n    }");
}

static void json(const struct chain *chains, unsigned int count)
{
	unsigned int i, frames = 0, copies = 0;
	uint64_t differing = 0;
	struct utsname uts;
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/demo.json", opt.out);
	f = fopen(path, "we");
	if (!f || uname(&uts))
		fail_errno("%s", path);
	for (i = 0; i < count; i++) {
		frames += chains[i].frames;
		copies += chain_copies(&chains[i]);
		differing += chains[i].differing;
	}
	fprintf(f, "{\n  \"heap\": \"%s\",\n  \"kernel\": \"%s\",\n", opt.heap, uts.release);
	fprintf(f, "  \"width\": %u,\n  \"height\": %u,\n", WIDTH, HEIGHT);
	fprintf(f, "  \"frames\": %u,\n  \"pixels_differing\": %" PRIu64 ",\n"
		"  \"cpu_copies\": %u,\n", frames, differing, copies);
	fprintf(f, "  \"failures\": [");
	for (i = 0; i < nfailures; i++)
		fprintf(f, "%s\n    \"%s\"", i ? "," : "", failures[i]);
	fprintf(f, "%s],\n  \"chains\": [\n", nfailures ? "\n  " : "");
	for (i = 0; i < count; i++) {
		json_chain(f, &chains[i]);
		fprintf(f, "%s\n", i + 1 < count ? "," : "");
	}
	fprintf(f, "  ]\n}\n");
	if (ferror(f) | fclose(f))
		fail_errno("%s", path);
}

bool report(const struct chain *chains, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		judge(&chains[i]);
	printf("Frames in buffers of /dev/dma_heap/%s\n", opt.heap);
	for (i = 0; i < count; i++)
		table_chain(&chains[i]);
	printf("\n");
	for (i = 0; i < nfailures; i++)
		printf("FAILED %s\n", failures[i]);
	if (!nfailures)
		printf("All held.\n");
	json(chains, count);
	return nfailures == 0;
}
