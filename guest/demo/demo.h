/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of the demo:
 *
 *   demo.c   options and errors
 *   chain.c  the two chains
 *   report.c the verdict, the table and the figures
 *   heap.c   buffers from a dma-buf heap, and what /proc and debugfs say of them
 *   v4l2.c   devices and queues that import those buffers
 *   kms.c    the display, and the writeback of what it showed
 *   check.c  the checker, a process of its own: it alone maps buffers
 */
#ifndef DEMO_H
#define DEMO_H

#include <linux/videodev2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIDTH		1280U
#define HEIGHT		720U
#define PIXELS		(WIDTH * HEIGHT)
#define RGB32_BYTES	(PIXELS * 4)
#define RGB24_BYTES	(PIXELS * 3)

#define PREFILL		0xdeadbeefU
#define PSNR_LEAST	30.0
/* The camera shows bars of eight colours: with fewer a picture is spoilt. */
#define COLOURS_LEAST	8
/* No step of a chain takes longer than this, even under emulation. */
#define STEP_MS		20000

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Faults that --fault plants, to show that each of them is noticed. */
enum fault {
	FAULT_NONE,
	FAULT_PIXEL,	/* one bit of one pixel of the display's frame flips */
	FAULT_STALE,	/* one frame is never shown, so nothing is written back */
	FAULT_COPY,	/* the display is given a second buffer once */
	FAULT_MAP,	/* the streaming process holds a mapping for one frame */
	FAULT_PEEK,	/* it maps and unmaps between two looks at its maps */
	FAULT_STILL,	/* the camera shows a still picture */
	FAULT_CODEC,	/* a part of one decoded frame goes black */
	FAULT_BLANK,	/* the kept pictures are of one colour */
	FAULT_STALL,	/* the camera gets no buffer back */
};

struct options {
	const char *heap;
	const char *out;
	unsigned int frames;
	enum fault fault;
};

extern struct options opt;

/* demo.c */
void fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void fail_errno(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Waits at most STEP_MS for @events, names @what when they do not come. */
void await(int fd, short events, const char *what);

/* heap.c */
#define NAMES_MAX	4

struct buffer {
	int fd;
	size_t size;
	uint64_t ino;
	int slot;			/* number at the checker */
	uint32_t handle, fb;		/* at the display, if shown there */
	char attached[NAMES_MAX][32];	/* devices debugfs listed */
};

void heap_alloc(struct buffer *buf, size_t size);
void heap_free(struct buffer *buf);
uint64_t inode_of(int fd);
void attachments_read(struct buffer *buf);
bool attached_to(const struct buffer *buf, const char *driver);
/* Mappings of dma-bufs in the address space of process @pid. */
unsigned int dmabufs_mapped(const char *pid);
size_t address_space_peak(void);
size_t address_space_size(void);

/* v4l2.c */
struct video {
	int fd;
	char path[64];
	char driver[16];
};

struct queue {
	struct video *dev;
	uint32_t type;
	struct buffer *bufs;
	unsigned int count;
};

void camera_open(struct video *dev);
void encoder_open(struct video *dev);
void decoder_open(struct video *dev);
void camera_setup(struct video *dev, bool still);
void video_close(struct video *dev);
void control_set(struct video *dev, const char *name, const char *item, int value);
void format_get(struct video *dev, uint32_t type, struct v4l2_pix_format *pix);
void format_set(struct video *dev, uint32_t type, struct v4l2_pix_format *pix);
void source_change_subscribe(struct video *dev);
void source_change_await(struct video *dev);
void queue_init(struct queue *q, struct video *dev, uint32_t type,
		struct buffer *bufs, unsigned int count);
void queue_put(struct queue *q, unsigned int index, const struct v4l2_buffer *from);
void queue_get(struct queue *q, struct v4l2_buffer *buf);
void queue_start(struct queue *q);
void queue_stop(struct queue *q);

/* kms.c */
struct display {
	int fd;
	char path[64];
	char driver[16];
	uint32_t crtc, plane, connector, writeback, mode_blob;
	bool lit;
};

void display_open(struct display *d);
void display_close(struct display *d);
void display_import(struct display *d, struct buffer *buf, uint32_t fourcc);
void display_release(struct display *d, struct buffer *buf);
void display_show(struct display *d, const struct buffer *frame,
		  const struct buffer *writeback);
void display_off(struct display *d);
/* Inode of what the plane scans out, and of a framebuffer, as the kernel tells. */
uint64_t display_inode(struct display *d);
uint64_t framebuffer_inode(struct display *d, uint32_t fb);

/* check.c */
struct verdict {
	uint64_t hash;			/* of the camera frame */
	uint64_t differing;		/* pixels */
	double psnr;			/* of the decoded frame */
	uint32_t mapped;		/* dma-bufs, in the streaming process */
	uint32_t colours[2];		/* of the pictures, if any was kept */
	uint64_t ino[3];		/* of what was compared */
};

void checker_start(void);
void checker_add(struct buffer *buf);
void checker_drop(void);
void checker_fill(const struct buffer *buf);
/*
 * @decoded is NULL for the lossless chain. @picture names the two pictures to
 * keep of this frame, or is NULL.
 */
void checker_compare(const struct buffer *camera, const struct buffer *decoded,
		     const struct buffer *shown, const char *picture, bool spoil,
		     struct verdict *v);
void checker_stop(void);

/* report.c */
struct stage {			/* what it points to outlives the chain */
	const char *name;
	const char *driver;
	char device[64];
	struct buffer *bufs;
	unsigned int count;
	bool attaches;			/* as debugfs must show */
	uint64_t bytes;
	double seconds;			/* spent in the stage */
	unsigned int passed;		/* frames that went through */
	unsigned int strangers;		/* inodes that were not the buffer's own */
};

#define STAGES_MAX	5

struct chain {
	const char *name;
	const char *about;
	const char *format;
	bool lossy;			/* decoded frames need only resemble */
	struct stage stages[STAGES_MAX];
	unsigned int nstages;
	unsigned int frames, unlike_previous;
	double seconds;
	uint64_t compared, differing;
	double psnr_min, psnr_sum;
	unsigned int looks, mapped;	/* at maps; dma-bufs seen there */
	size_t growth;			/* of the address space, at its peak */
	size_t frame_bytes;		/* of the smallest frame */
	unsigned int inodes_compared;
	unsigned int unattached;
	unsigned int colours[2];
};

bool report(const struct chain *chains, unsigned int count);

/* chain.c */
void run_lossless(struct chain *c);
void run_codec(struct chain *c);

#endif
