// SPDX-License-Identifier: GPL-2.0
/*
 * The checker: a process of its own that is handed the buffers, as a reader of
 * the pictures would be. It alone maps them, so that the streaming process can
 * be seen to map none, and it watches the maps of that process from outside.
 */

#include <errno.h>
#include <linux/dma-buf.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"

#define SLOTS_MAX	32

enum op { OP_ADD, OP_DROP, OP_FILL, OP_COMPARE };

struct request {
	enum op op;
	int camera, decoded, shown;	/* slots; OP_ADD and OP_FILL use shown */
	size_t size;
	char picture[32];
	bool spoil;
};

struct slot {
	int fd;
	size_t size;
	uint64_t ino;
	uint8_t *mem;
};

static int sock = -1;
static pid_t checker;
static unsigned int nslots;	/* each side counts for itself, in step */

/* ---- in the checker ---- */

static struct slot slots[SLOTS_MAX];

static void slot_add(int fd, size_t size)
{
	struct slot *s = &slots[nslots++];

	*s = (struct slot) { .fd = fd, .size = size, .ino = inode_of(fd) };
	s->mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s->mem == MAP_FAILED)
		fail_errno("checker: mmap of %zu bytes of a dma-buf", size);
}

static void slots_drop(void)
{
	while (nslots) {
		struct slot *s = &slots[--nslots];

		munmap(s->mem, s->size);
		close(s->fd);
	}
}

/* The CPU may only look at a buffer between start and end. */
static void cpu_access(const struct slot *s, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	if (ioctl(s->fd, DMA_BUF_IOCTL_SYNC, &sync))
		fail_errno("checker: DMA_BUF_IOCTL_SYNC");
}

static void fill(const struct slot *s)
{
	uint32_t *p = (uint32_t *)s->mem;
	size_t i;

	cpu_access(s, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
	for (i = 0; i < s->size / sizeof(*p); i++)
		p[i] = PREFILL;
	cpu_access(s, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
}

static uint64_t hash_of(const uint8_t *mem, size_t size)
{
	const uint64_t *p = (const uint64_t *)mem;
	uint64_t h = 14695981039346656037ULL;
	size_t i;

	for (i = 0; i < size / sizeof(*p); i++)
		h = ((h ^ p[i]) * 1099511628211ULL) ^ (h >> 29);
	return h;
}

/* One pixel as 0xAARRGGBB; three bytes a pixel have no alpha and are opaque. */
static uint32_t pixel(const uint8_t *mem, size_t i, bool rgb24)
{
	if (!rgb24)
		return ((const uint32_t *)mem)[i];
	mem += i * 3;
	return 0xff000000 | mem[2] << 16 | mem[1] << 8 | mem[0];
}

static uint64_t pixels_differing(const uint8_t *shown, const uint8_t *source, bool rgb24)
{
	uint64_t differing = 0;
	size_t i;

	for (i = 0; i < PIXELS; i++)
		differing += pixel(shown, i, false) != pixel(source, i, rgb24);
	return differing;
}

static uint64_t squared_error(const uint8_t *a, const uint8_t *b, size_t n)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		int d = a[i] - b[i];

		sum += (uint32_t)(d * d);
	}
	return sum;
}

/* Equal frames would be infinitely good; no file format has a number for it. */
static double psnr_of(uint64_t error, size_t samples)
{
	return error ? 10 * log10(255.0 * 255.0 * samples / error) : 100;
}

/* Keeps a frame as a PPM; returns how many colours it has. */
static uint32_t picture_keep(const char *name, const char *which, const uint8_t *mem,
			     bool rgb24)
{
	static uint8_t seen[1 << 21];	/* a bit for each colour */
	uint8_t line[WIDTH * 3];
	unsigned int x, y;
	uint32_t colours = 0;
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s-%s.ppm", opt.out, name, which);
	f = fopen(path, "we");
	if (!f)
		fail_errno("%s", path);
	memset(seen, 0, sizeof(seen));
	fprintf(f, "P6\n%u %u\n255\n", WIDTH, HEIGHT);
	for (y = 0; y < HEIGHT; y++) {
		for (x = 0; x < WIDTH; x++) {
			uint32_t p = pixel(mem, y * WIDTH + x, rgb24) & 0xffffff;

			if (opt.fault == FAULT_BLANK)
				p = 0;
			line[x * 3] = p >> 16;
			line[x * 3 + 1] = p >> 8;
			line[x * 3 + 2] = p;
			colours += !(seen[p / 8] & 1 << p % 8);
			seen[p / 8] |= 1 << p % 8;
		}
		fwrite(line, sizeof(line), 1, f);
	}
	if (ferror(f) | fclose(f))
		fail_errno("%s", path);
	return colours;
}

/* Plants the faults that are in a frame's content. */
static void spoil(const struct slot *shown, const struct slot *decoded)
{
	const struct slot *s = opt.fault == FAULT_CODEC ? decoded : shown;

	if (!s)
		return;
	cpu_access(s, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	if (opt.fault == FAULT_PIXEL)
		s->mem[RGB32_BYTES / 2] ^= 1;
	else if (opt.fault == FAULT_CODEC)
		memset(s->mem, 0, RGB24_BYTES / 8);
	cpu_access(s, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
}

static void compare(const struct request *rq, struct verdict *v)
{
	const struct slot *camera = &slots[rq->camera];
	const struct slot *shown = &slots[rq->shown];
	const struct slot *decoded = rq->decoded >= 0 ? &slots[rq->decoded] : NULL;
	size_t camera_bytes = decoded ? RGB24_BYTES : RGB32_BYTES;

	if (rq->spoil)
		spoil(shown, decoded);
	cpu_access(camera, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	cpu_access(shown, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	if (decoded)
		cpu_access(decoded, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);

	v->hash = hash_of(camera->mem, camera_bytes);
	v->differing = pixels_differing(shown->mem, decoded ? decoded->mem : camera->mem,
					decoded);
	v->ino[0] = camera->ino;
	v->ino[1] = shown->ino;
	if (decoded) {
		v->psnr = psnr_of(squared_error(camera->mem, decoded->mem, RGB24_BYTES),
				  RGB24_BYTES);
		v->ino[2] = decoded->ino;
	}
	if (rq->picture[0]) {
		v->colours[0] = picture_keep(rq->picture, "camera", camera->mem, decoded);
		v->colours[1] = picture_keep(rq->picture, "display", shown->mem, false);
	}

	if (decoded)
		cpu_access(decoded, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	cpu_access(shown, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	cpu_access(camera, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
}

/* False when the other side has gone. */
static bool receive(struct request *rq, int *fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = rq, .iov_len = sizeof(*rq) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	struct cmsghdr *c;
	ssize_t n;

	n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	if (n == 0)
		return false;
	if (n < 0)
		fail_errno("checker: recvmsg");
	if (n != sizeof(*rq))
		fail("checker: short request");
	*fd = -1;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return true;
}

static void serve(const char *streamer)
{
	struct request rq;
	int fd;

	while (receive(&rq, &fd)) {
		struct verdict v = {};

		switch (rq.op) {
		case OP_ADD:
			slot_add(fd, rq.size);
			break;
		case OP_DROP:
			slots_drop();
			break;
		case OP_FILL:
			fill(&slots[rq.shown]);
			break;
		case OP_COMPARE:
			compare(&rq, &v);
			break;
		}
		v.mapped = dmabufs_mapped(streamer);
		if (send(sock, &v, sizeof(v), MSG_NOSIGNAL) != sizeof(v))
			break;
	}
}

/* ---- in the streaming process ---- */

/* To be called before anything is allocated, so that the checker inherits none. */
void checker_start(void)
{
	char streamer[16];
	int pair[2];

	snprintf(streamer, sizeof(streamer), "%d", (int)getpid());
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		fail_errno("socketpair");
	checker = fork();
	if (checker < 0)
		fail_errno("fork");
	sock = pair[checker ? 0 : 1];
	close(pair[checker ? 1 : 0]);
	if (checker)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	serve(streamer);
	_exit(0);
}

static void ask(const struct request *rq, int fd, struct verdict *v)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct iovec iov = { .iov_base = (void *)rq, .iov_len = sizeof(*rq) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (fd >= 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) != sizeof(*rq))
		fail_errno("request to the checker");
	await(sock, POLLIN, "checker: an answer");
	if (recv(sock, v, sizeof(*v), 0) != sizeof(*v))
		fail("the checker has died");
}

void checker_add(struct buffer *buf)
{
	struct request rq = { .op = OP_ADD, .size = buf->size };
	struct verdict v;

	if (nslots == SLOTS_MAX)
		fail("too many buffers for the checker");
	buf->slot = nslots++;
	ask(&rq, buf->fd, &v);
}

void checker_drop(void)
{
	struct request rq = { .op = OP_DROP };
	struct verdict v;

	nslots = 0;
	ask(&rq, -1, &v);
}

void checker_fill(const struct buffer *buf)
{
	struct request rq = { .op = OP_FILL, .shown = buf->slot };
	struct verdict v;

	ask(&rq, -1, &v);
}

void checker_compare(const struct buffer *camera, const struct buffer *decoded,
		     const struct buffer *shown, const char *picture, bool spoil,
		     struct verdict *v)
{
	struct request rq = {
		.op = OP_COMPARE,
		.camera = camera->slot,
		.decoded = decoded ? decoded->slot : -1,
		.shown = shown->slot,
		.spoil = spoil,
	};

	if (picture)
		snprintf(rq.picture, sizeof(rq.picture), "%s", picture);
	ask(&rq, -1, v);
}

void checker_stop(void)
{
	int status;

	close(sock);
	if (waitpid(checker, &status, 0) != checker || status)
		fail("the checker ended with status %#x", status);
}
