// SPDX-License-Identifier: GPL-2.0
/*
 * The two chains: frame by frame from the camera to the display, with a look at
 * every stage whether it works on the buffer it should.
 */

#include <drm_fourcc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "demo.h"

#define CAMERA_BUFS	4
#define CODED_BUFS	2
#define DECODED_BUFS	3

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static struct stage *stage_add(struct chain *c, const char *name, const char *driver,
			       const char *device, struct buffer *bufs,
			       unsigned int count)
{
	struct stage *s = &c->stages[c->nstages++];

	*s = (struct stage) {
		.name = name, .driver = driver, .bufs = bufs, .count = count,
	};
	snprintf(s->device, sizeof(s->device), "%s", device);
	return s;
}

/* @ino is what a stage worked on, @buf what it should have been. */
static void stage_saw(struct chain *c, struct stage *s, const struct buffer *buf,
		      uint64_t ino)
{
	c->inodes_compared++;
	s->strangers += ino != buf->ino;
}

static void stage_pass(struct stage *s, double start, uint64_t bytes)
{
	s->seconds += now() - start;
	s->passed++;
	s->bytes += bytes;
}

static void bufs_alloc(struct buffer *bufs, unsigned int count, size_t size)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		heap_alloc(&bufs[i], size);
		checker_add(&bufs[i]);
	}
}

static void bufs_free(struct buffer *bufs, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		heap_free(&bufs[i]);
}

static void look_at_maps(struct chain *c, unsigned int mapped)
{
	c->looks++;
	c->mapped += mapped;
}

static void watch_start(struct chain *c, size_t frame_bytes)
{
	c->frame_bytes = frame_bytes;
	c->growth = address_space_size();
	c->seconds = now();
}

/*
 * Any mapping of a frame, however short, would have raised the peak of the
 * address space by a frame or more. The peak never falls, so that a mapping in
 * one chain shows in the next as well.
 */
static void watch_end(struct chain *c)
{
	c->seconds = now() - c->seconds;
	c->growth = address_space_peak() - c->growth;
}

static bool fault_due(enum fault fault, unsigned int frame)
{
	return opt.fault == fault && frame == opt.frames / 2;
}

/* A copy by the CPU, which is what a run must never contain. */
static void copy_planted(const struct buffer *to, const struct buffer *from)
{
	void *src = mmap(NULL, from->size, PROT_READ, MAP_SHARED, from->fd, 0);
	void *dst = mmap(NULL, to->size, PROT_WRITE, MAP_SHARED, to->fd, 0);

	if (src == MAP_FAILED || dst == MAP_FAILED)
		fail_errno("mmap for --fault copy");
	memcpy(dst, src, from->size);
	munmap(src, from->size);
	munmap(dst, to->size);
}

/* Have a frame compared, and look whether this process maps anything. */
static void check(struct chain *c, unsigned int frame, const struct buffer *camera,
		  const struct buffer *decoded, const struct buffer *shown)
{
	const char *picture = frame == opt.frames / 2 ? c->name : NULL;
	static uint64_t previous;
	void *held = NULL;
	struct verdict v;

	if (fault_due(FAULT_MAP, frame) || fault_due(FAULT_PEEK, frame)) {
		held = mmap(NULL, camera->size, PROT_READ, MAP_SHARED, camera->fd, 0);
		if (held == MAP_FAILED)
			fail_errno("mmap for --fault");
		if (opt.fault == FAULT_PEEK)
			munmap(held, camera->size);
	}
	checker_compare(camera, decoded, shown, picture,
			fault_due(FAULT_PIXEL, frame) || fault_due(FAULT_CODEC, frame), &v);
	look_at_maps(c, v.mapped);
	look_at_maps(c, dmabufs_mapped("self"));
	if (opt.fault == FAULT_MAP && held)
		munmap(held, camera->size);

	c->inodes_compared += decoded ? 3 : 2;
	c->stages[0].strangers += v.ino[0] != camera->ino;
	c->stages[c->nstages - 1].strangers += v.ino[1] != shown->ino;
	if (decoded)
		c->stages[c->nstages - 2].strangers += v.ino[2] != decoded->ino;

	c->unlike_previous += frame > 0 && v.hash != previous;
	previous = v.hash;
	c->compared += PIXELS;
	c->differing += v.differing;
	if (decoded) {
		if (frame == 0 || v.psnr < c->psnr_min)
			c->psnr_min = v.psnr;
		c->psnr_sum += v.psnr;
	}
	if (picture)
		memcpy(c->colours, v.colours, sizeof(c->colours));
	c->frames++;
	if (c->frames % 10 == 0)
		progress("%s: %u of %u frames", c->name, c->frames, opt.frames);
}

/* While the frames stream, what debugfs says is attached to what. */
static void attachments_check(struct chain *c)
{
	unsigned int i, b;

	for (i = 0; i < c->nstages; i++) {
		struct stage *s = &c->stages[i];

		for (b = 0; b < s->count; b++) {
			attachments_read(&s->bufs[b]);
			if (s->attaches && !attached_to(&s->bufs[b], s->driver))
				c->unattached++;
		}
	}
}

static double timestamp(const struct v4l2_buffer *buf)
{
	return buf->timestamp.tv_sec + buf->timestamp.tv_usec / 1e6;
}

/* The camera's own time stamps tell its rate. */
static void camera_got(struct chain *c, struct stage *s, const struct queue *q,
		       const struct v4l2_buffer *buf, double *first)
{
	stage_saw(c, s, &q->bufs[buf->index], inode_of(buf->m.fd));
	s->bytes += buf->bytesused;
	if (!*first)
		*first = timestamp(buf);
	else
		s->passed++;
	s->seconds = timestamp(buf) - *first;
}

static void queue_fill(struct queue *q)
{
	unsigned int i;

	for (i = 0; i < q->count; i++)
		queue_put(q, i, NULL);
}

static void imports(struct display *d, struct buffer *bufs, unsigned int count,
		    uint32_t fourcc)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		display_import(d, &bufs[i], fourcc);
}

static void releases(struct display *d, struct buffer *bufs, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		display_release(d, &bufs[i]);
}

/* ---- camera to display, lossless ---- */

void run_lossless(struct chain *c)
{
	struct v4l2_pix_format pix = { .pixelformat = V4L2_PIX_FMT_ABGR32 };
	struct stage *s_camera, *s_display, *s_writeback;
	static struct buffer bufs[CAMERA_BUFS], writeback, spare;
	struct v4l2_buffer got, shown = {};
	static struct video camera;
	static struct display d;
	struct queue q;
	double first = 0;
	unsigned int n;

	camera_open(&camera);
	display_open(&d);
	camera_setup(&camera, opt.fault == FAULT_STILL);
	format_set(&camera, V4L2_BUF_TYPE_VIDEO_CAPTURE, &pix);

	bufs_alloc(bufs, CAMERA_BUFS, pix.sizeimage);
	bufs_alloc(&writeback, 1, RGB32_BYTES);
	/* AR24 is the display's name for the bytes that V4L2 calls ABGR32. */
	imports(&d, bufs, CAMERA_BUFS, DRM_FORMAT_ARGB8888);
	imports(&d, &writeback, 1, DRM_FORMAT_ARGB8888);
	if (opt.fault == FAULT_COPY) {
		bufs_alloc(&spare, 1, RGB32_BYTES);
		imports(&d, &spare, 1, DRM_FORMAT_ARGB8888);
	}

	s_camera = stage_add(c, "camera", camera.driver, camera.path, bufs, CAMERA_BUFS);
	s_camera->attaches = true;
	s_display = stage_add(c, "display", d.driver, d.path, bufs, CAMERA_BUFS);
	s_display->attaches = true;
	s_writeback = stage_add(c, "writeback", d.driver, d.path, &writeback, 1);
	s_writeback->attaches = true;

	queue_init(&q, &camera, V4L2_BUF_TYPE_VIDEO_CAPTURE, bufs, CAMERA_BUFS);
	queue_fill(&q);
	watch_start(c, RGB32_BYTES);
	queue_start(&q);
	for (n = 0; n < opt.frames; n++) {
		const struct buffer *frame;
		double start;

		checker_fill(&writeback);
		queue_get(&q, &got);
		camera_got(c, s_camera, &q, &got, &first);
		frame = &bufs[got.index];
		if (fault_due(FAULT_COPY, n)) {
			copy_planted(&spare, frame);
			frame = &spare;
		}

		start = now();
		if (!fault_due(FAULT_STALE, n))
			display_show(&d, frame, &writeback);
		stage_pass(s_display, start, RGB32_BYTES);
		stage_pass(s_writeback, start, RGB32_BYTES);
		stage_saw(c, s_display, &bufs[got.index], display_inode(&d));
		stage_saw(c, s_writeback, &writeback, framebuffer_inode(&d, writeback.fb));

		check(c, n, &bufs[got.index], NULL, &writeback);
		if (n == opt.frames / 2)
			attachments_check(c);
		/* The frame before this one has left the screen. */
		if (n && opt.fault != FAULT_STALL)
			queue_put(&q, shown.index, NULL);
		shown = got;
	}
	watch_end(c);
	queue_stop(&q);
	display_off(&d);
	releases(&d, bufs, CAMERA_BUFS);
	releases(&d, &writeback, 1);
	if (opt.fault == FAULT_COPY)
		releases(&d, &spare, 1);
	display_close(&d);
	video_close(&camera);
	checker_drop();
	bufs_free(bufs, CAMERA_BUFS);
	bufs_free(&writeback, 1);
	if (opt.fault == FAULT_COPY)
		bufs_free(&spare, 1);
}

/* ---- camera to display through encoder and decoder ---- */

struct codec {
	struct video camera, enc, dec;
	struct queue cam, enc_raw, enc_coded, dec_coded, dec_raw;
	struct buffer camera_bufs[CAMERA_BUFS], coded[CODED_BUFS];
	struct buffer decoded[DECODED_BUFS], writeback;
	struct display display;
	struct stage *s_camera, *s_enc, *s_dec, *s_display, *s_writeback;
};

static void codec_formats(struct codec *k, size_t *coded_size)
{
	struct v4l2_pix_format pix = { .pixelformat = V4L2_PIX_FMT_BGR24 };
	struct v4l2_pix_format coded = { .pixelformat = V4L2_PIX_FMT_FWHT };

	format_set(&k->camera, V4L2_BUF_TYPE_VIDEO_CAPTURE, &pix);
	format_set(&k->enc, V4L2_BUF_TYPE_VIDEO_OUTPUT, &pix);
	format_set(&k->enc, V4L2_BUF_TYPE_VIDEO_CAPTURE, &coded);
	*coded_size = coded.sizeimage;
	format_set(&k->dec, V4L2_BUF_TYPE_VIDEO_OUTPUT, &coded);
	if (coded.sizeimage > *coded_size)
		*coded_size = coded.sizeimage;
	/* The finest steps the codec has. */
	control_set(&k->enc, "FWHT I-Frame QP Value", NULL, 1);
	control_set(&k->enc, "FWHT P-Frame QP Value", NULL, 1);
}

static void codec_setup(struct codec *k, struct chain *c)
{
	size_t coded_size;

	camera_open(&k->camera);
	encoder_open(&k->enc);
	decoder_open(&k->dec);
	display_open(&k->display);
	camera_setup(&k->camera, opt.fault == FAULT_STILL);
	codec_formats(k, &coded_size);
	source_change_subscribe(&k->dec);

	bufs_alloc(k->camera_bufs, CAMERA_BUFS, RGB24_BYTES);
	bufs_alloc(k->coded, CODED_BUFS, coded_size);
	bufs_alloc(k->decoded, DECODED_BUFS, RGB24_BYTES);
	bufs_alloc(&k->writeback, 1, RGB32_BYTES);
	imports(&k->display, k->decoded, DECODED_BUFS, DRM_FORMAT_RGB888);
	imports(&k->display, &k->writeback, 1, DRM_FORMAT_ARGB8888);

	k->s_camera = stage_add(c, "camera", k->camera.driver, k->camera.path,
				k->camera_bufs, CAMERA_BUFS);
	k->s_camera->attaches = true;
	k->s_enc = stage_add(c, "encoder", k->enc.driver, k->enc.path,
			     k->coded, CODED_BUFS);
	k->s_dec = stage_add(c, "decoder", k->dec.driver, k->dec.path,
			     k->decoded, DECODED_BUFS);
	k->s_display = stage_add(c, "display", k->display.driver, k->display.path,
				 k->decoded, DECODED_BUFS);
	k->s_display->attaches = true;
	k->s_writeback = stage_add(c, "writeback", k->display.driver, k->display.path,
				   &k->writeback, 1);
	k->s_writeback->attaches = true;

	queue_init(&k->cam, &k->camera, V4L2_BUF_TYPE_VIDEO_CAPTURE,
		   k->camera_bufs, CAMERA_BUFS);
	queue_init(&k->enc_raw, &k->enc, V4L2_BUF_TYPE_VIDEO_OUTPUT,
		   k->camera_bufs, CAMERA_BUFS);
	queue_init(&k->enc_coded, &k->enc, V4L2_BUF_TYPE_VIDEO_CAPTURE,
		   k->coded, CODED_BUFS);
	queue_init(&k->dec_coded, &k->dec, V4L2_BUF_TYPE_VIDEO_OUTPUT,
		   k->coded, CODED_BUFS);
}

static void same_time(const struct video *dev, const struct v4l2_buffer *in,
		      const struct v4l2_buffer *out)
{
	if (timestamp(in) != timestamp(out))
		fail("%s (%s) turned the frame of %.6f into one of %.6f", dev->path,
		     dev->driver, timestamp(in), timestamp(out));
}

static void encode(struct codec *k, struct chain *c, unsigned int n,
		   const struct v4l2_buffer *raw, struct v4l2_buffer *coded)
{
	double start = now();
	struct v4l2_buffer used;

	queue_put(&k->enc_raw, raw->index, raw);
	queue_put(&k->enc_coded, n % CODED_BUFS, NULL);
	queue_get(&k->enc_coded, coded);
	queue_get(&k->enc_raw, &used);
	stage_pass(k->s_enc, start, coded->bytesused);
	stage_saw(c, k->s_enc, &k->camera_bufs[raw->index], inode_of(used.m.fd));
	stage_saw(c, k->s_enc, &k->coded[n % CODED_BUFS], inode_of(coded->m.fd));
	same_time(&k->enc, raw, coded);
}

/* A decoder learns what it decodes to from the first frame of the stream. */
static void decoder_start(struct codec *k)
{
	struct v4l2_pix_format pix;

	queue_start(&k->dec_coded);
	source_change_await(&k->dec);
	format_get(&k->dec, V4L2_BUF_TYPE_VIDEO_CAPTURE, &pix);
	if (pix.width != WIDTH || pix.height != HEIGHT)
		fail("%s (%s) finds a stream of %ux%u", k->dec.path, k->dec.driver,
		     pix.width, pix.height);
	pix.pixelformat = V4L2_PIX_FMT_BGR24;
	format_set(&k->dec, V4L2_BUF_TYPE_VIDEO_CAPTURE, &pix);
	queue_init(&k->dec_raw, &k->dec, V4L2_BUF_TYPE_VIDEO_CAPTURE,
		   k->decoded, DECODED_BUFS);
	queue_fill(&k->dec_raw);
	queue_start(&k->dec_raw);
}

static void decode(struct codec *k, struct chain *c, unsigned int n,
		   const struct v4l2_buffer *coded, struct v4l2_buffer *raw)
{
	double start = now();
	struct v4l2_buffer used;

	queue_put(&k->dec_coded, coded->index, coded);
	if (n == 0)
		decoder_start(k);
	queue_get(&k->dec_raw, raw);
	queue_get(&k->dec_coded, &used);
	stage_pass(k->s_dec, start, raw->bytesused);
	stage_saw(c, k->s_dec, &k->coded[coded->index], inode_of(used.m.fd));
	stage_saw(c, k->s_dec, &k->decoded[raw->index], inode_of(raw->m.fd));
	same_time(&k->dec, coded, raw);
}

static void codec_stop(struct codec *k)
{
	queue_stop(&k->cam);
	queue_stop(&k->enc_raw);
	queue_stop(&k->enc_coded);
	queue_stop(&k->dec_coded);
	queue_stop(&k->dec_raw);
	display_off(&k->display);
	releases(&k->display, k->decoded, DECODED_BUFS);
	releases(&k->display, &k->writeback, 1);
	display_close(&k->display);
	video_close(&k->camera);
	video_close(&k->enc);
	video_close(&k->dec);
	checker_drop();
	bufs_free(k->camera_bufs, CAMERA_BUFS);
	bufs_free(k->coded, CODED_BUFS);
	bufs_free(k->decoded, DECODED_BUFS);
	bufs_free(&k->writeback, 1);
}

void run_codec(struct chain *c)
{
	static struct codec state;
	struct v4l2_buffer got, coded, raw, shown = {};
	struct codec *k = &state;
	double first = 0, start;
	unsigned int n;

	codec_setup(k, c);
	queue_fill(&k->cam);
	watch_start(c, RGB24_BYTES);
	queue_start(&k->cam);
	queue_start(&k->enc_raw);
	queue_start(&k->enc_coded);
	for (n = 0; n < opt.frames; n++) {
		checker_fill(&k->writeback);
		queue_get(&k->cam, &got);
		camera_got(c, k->s_camera, &k->cam, &got, &first);
		encode(k, c, n, &got, &coded);
		decode(k, c, n, &coded, &raw);

		start = now();
		if (!fault_due(FAULT_STALE, n))
			display_show(&k->display, &k->decoded[raw.index],
				     &k->writeback);
		stage_pass(k->s_display, start, RGB24_BYTES);
		stage_pass(k->s_writeback, start, RGB32_BYTES);
		stage_saw(c, k->s_display, &k->decoded[raw.index],
			  display_inode(&k->display));
		stage_saw(c, k->s_writeback, &k->writeback,
			  framebuffer_inode(&k->display, k->writeback.fb));

		check(c, n, &k->camera_bufs[got.index], &k->decoded[raw.index],
		      &k->writeback);
		if (n == opt.frames / 2)
			attachments_check(c);
		if (n)
			queue_put(&k->dec_raw, shown.index, NULL);
		shown = raw;
		queue_put(&k->cam, got.index, NULL);
	}
	watch_end(c);
	codec_stop(k);
}
