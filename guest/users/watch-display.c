// SPDX-License-Identifier: GPL-2.0
/*
 * Look at what a display shows, frame by frame, while another program shows it.
 *
 * usage: watch-display DRIVER [FILE]
 *
 * For each framebuffer that a plane of the first card of this driver comes to show, a
 * line of
 *
 *	MD5 EXPORTER INODE FORMAT WIDTHxHEIGHT
 *
 * goes to stdout, after a line "ready": the MD5 of its visible pixels, plane by plane and without padding,
 * which is how GStreamer's checksumsink sees a raw frame; the exporter of its dma-buf,
 * which for memory of a heap is the heap's name, and "drm" for memory of the card's
 * own; and the inode of the dma-buf. FILE gets the pixels of the last one. Runs until
 * SIGTERM or SIGINT. Root only, as looking at the framebuffers of others is.
 */

#include <drm_fourcc.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/dma-buf.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#define POLL_US 500 /* a display shows a frame for 16 ms */

/*
 * What was shown before and after it was read has not been shown and written to in
 * between if that took less time than two other frames.
 */
#define READ_MS_MAX 30
#define TRIES_MAX 5 /* to read what is shown for long, for that costs the guest's CPU */

/* A format whose plane @i has rows of width * bytes[i] / across[i] bytes. */
struct format {
	uint32_t fourcc;
	unsigned int planes;
	unsigned int bytes[3], across[3], down[3];
};

static const struct format formats[] = {
	{ DRM_FORMAT_NV12, 2, { 1, 2 }, { 1, 2 }, { 1, 2 } },
	{ DRM_FORMAT_YUV420, 3, { 1, 1, 1 }, { 1, 2, 2 }, { 1, 2, 2 } },
	{ DRM_FORMAT_YUYV, 1, { 2 }, { 1 }, { 1 } },
	{ DRM_FORMAT_RGB565, 1, { 2 }, { 1 }, { 1 } },
	{ DRM_FORMAT_XRGB8888, 1, { 4 }, { 1 }, { 1 } },
	{ DRM_FORMAT_ARGB8888, 1, { 4 }, { 1 }, { 1 } },
	{ DRM_FORMAT_XBGR8888, 1, { 4 }, { 1 }, { 1 } },
};

struct frame {
	char md5[33];
	char exporter[64];
	unsigned long inode;
	uint32_t fourcc, width, height;
	GByteArray *pixels;
};

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

static const struct format *format_of(uint32_t fourcc)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (formats[i].fourcc == fourcc)
			return &formats[i];
	errx(2, "framebuffers of format %.4s are not known here", (char *)&fourcc);
}

static uint32_t shown_now(int card, const drmModePlaneRes *planes)
{
	uint32_t fb = 0;

	for (uint32_t i = 0; i < planes->count_planes && !fb; i++) {
		drmModePlane *plane = drmModeGetPlane(card, planes->planes[i]);

		if (plane && plane->crtc_id)
			fb = plane->fb_id;
		drmModeFreePlane(plane);
	}
	return fb;
}

/* The kernel names the exporter in the file that describes the descriptor. */
static void identify(int fd, struct frame *frame)
{
	char path[64], line[128];
	struct stat st;
	FILE *file;

	strcpy(frame->exporter, "?");
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "exp_name: %63s", frame->exporter);
	if (file)
		fclose(file);
	frame->inode = fstat(fd, &st) ? 0 : st.st_ino;
}

static bool sync_access(int fd, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags | DMA_BUF_SYNC_READ };

	while (ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync))
		if (errno != EINTR && errno != EAGAIN)
			return false;
	return true;
}

static void copy_pixels(const uint8_t *mem, off_t size, const drmModeFB2 *fb,
			GByteArray *pixels)
{
	const struct format *f = format_of(fb->pixel_format);

	g_byte_array_set_size(pixels, 0);
	for (unsigned int i = 0; i < f->planes; i++) {
		if (fb->handles[i] != fb->handles[0] ||
		    fb->offsets[i] + (off_t)fb->pitches[i] * (fb->height / f->down[i]) > size)
			errx(2, "plane %u is not in the buffer of the first", i);
		for (uint32_t y = 0; y < fb->height / f->down[i]; y++)
			g_byte_array_append(pixels, mem + fb->offsets[i] + y * fb->pitches[i],
					    fb->width / f->across[i] * f->bytes[i]);
	}
}

static bool read_buffer(int fd, const drmModeFB2 *fb, struct frame *frame)
{
	off_t size = lseek(fd, 0, SEEK_END);
	uint8_t *mem = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	char *md5;

	if (size <= 0 || mem == MAP_FAILED)
		return false;
	if (!sync_access(fd, DMA_BUF_SYNC_START))
		err(2, "DMA_BUF_IOCTL_SYNC");
	copy_pixels(mem, size, fb, frame->pixels);
	sync_access(fd, DMA_BUF_SYNC_END);
	munmap(mem, size);

	md5 = g_compute_checksum_for_data(G_CHECKSUM_MD5, frame->pixels->data,
					  frame->pixels->len);
	strcpy(frame->md5, md5);
	g_free(md5);
	identify(fd, frame);
	frame->fourcc = fb->pixel_format;
	frame->width = fb->width;
	frame->height = fb->height;
	return true;
}

/* False if the framebuffer is gone already, which its owner may well have done. */
static bool read_framebuffer(int card, uint32_t id, struct frame *frame)
{
	drmModeFB2 *fb = drmModeGetFB2(card, id);
	bool done = false;
	int fd = -1;

	if (!fb)
		return false;
	if (!fb->handles[0])
		errx(2, "handles of framebuffers are for root alone");
	if (!drmPrimeHandleToFD(card, fb->handles[0], DRM_CLOEXEC | DRM_RDWR, &fd))
		done = read_buffer(fd, fb, frame);
	if (fd >= 0)
		close(fd);
	for (int i = 0; i < 4; i++) {
		bool again = false;

		for (int j = 0; j < i; j++)
			again |= fb->handles[j] == fb->handles[i];
		if (fb->handles[i] && !again)
			drmCloseBufferHandle(card, fb->handles[i]);
	}
	drmModeFreeFB2(fb);
	return done;
}

static void write_pixels(const char *path, const struct frame *frame)
{
	FILE *file = fopen(path, "w");

	if (!file || fwrite(frame->pixels->data, 1, frame->pixels->len, file) !=
		     frame->pixels->len || fclose(file))
		err(2, "%s", path);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct frame frame = { .pixels = g_byte_array_new() };
	drmModePlaneRes *planes;
	unsigned int tries = 0;
	uint32_t last = 0;
	int card;

	if (argc < 2 || argc > 3)
		errx(2, "usage: watch-display DRIVER [FILE]");
	card = drmOpen(argv[1], NULL);
	if (card < 0)
		errx(2, "no card of driver %s", argv[1]);
	/* The first to open a card owns it; it is somebody else who wants to show. */
	drmDropMaster(card);
	if (drmSetClientCap(card, DRM_CLIENT_CAP_UNIVERSAL_PLANES, 1))
		err(2, "%s: planes", argv[1]);
	planes = drmModeGetPlaneResources(card);
	if (!planes)
		err(2, "%s: planes", argv[1]);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");

	while (!stop) {
		uint32_t id = shown_now(card, planes);
		gint64 start = g_get_monotonic_time();

		if (id != last)
			tries = id ? TRIES_MAX : 0;
		last = id;
		if (tries) {
			tries--;
			if (read_framebuffer(card, id, &frame) &&
			    shown_now(card, planes) == id &&
			    g_get_monotonic_time() - start < READ_MS_MAX * 1000) {
				printf("%s %s %lu %.4s %ux%u\n", frame.md5, frame.exporter,
				       frame.inode, (char *)&frame.fourcc, frame.width,
				       frame.height);
				if (argc > 2)
					write_pixels(argv[2], &frame);
				tries = 0;
			}
		}
		usleep(POLL_US);
	}
	drmModeFreePlaneResources(planes);
	g_byte_array_unref(frame.pixels);
	drmClose(card);
	return 0;
}
