// SPDX-License-Identifier: GPL-2.0
/* The display: heap buffers as framebuffers, and what it showed written back. */

#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "demo.h"

#define DRIVER		"vkms"
#define CARD		"/dev/dri/card"
#define CARDS_MAX	16

static int card_open(struct display *d)
{
	unsigned int i;

	for (i = 0; i < CARDS_MAX; i++) {
		drmVersion *version;
		bool found;
		int fd;

		snprintf(d->path, sizeof(d->path), CARD "%u", i);
		fd = open(d->path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		version = drmGetVersion(fd);
		found = version && strcmp(version->name, DRIVER) == 0;
		drmFreeVersion(version);
		if (found)
			return fd;
		close(fd);
	}
	fail("no " CARD " node of driver " DRIVER);
}

/* The id of property @name of an object, 0 if it has none, and its value. */
static uint32_t property(struct display *d, uint32_t object, uint32_t type,
			 const char *name, uint64_t *value)
{
	drmModeObjectProperties *props = drmModeObjectGetProperties(d->fd, object, type);
	uint32_t id = 0, i;

	if (!props)
		fail_errno("%s: properties of object %u", d->path, object);
	for (i = 0; i < props->count_props && !id; i++) {
		drmModePropertyRes *p = drmModeGetProperty(d->fd, props->props[i]);

		if (p && strcmp(p->name, name) == 0) {
			id = p->prop_id;
			if (value)
				*value = props->prop_values[i];
		}
		drmModeFreeProperty(p);
	}
	drmModeFreeObjectProperties(props);
	return id;
}

static void set(struct display *d, drmModeAtomicReq *req, uint32_t object,
		uint32_t type, const char *name, uint64_t value)
{
	uint32_t id = property(d, object, type, name, NULL);

	if (!id)
		fail("%s: object %u has no property %s", d->path, object, name);
	if (drmModeAtomicAddProperty(req, object, id, value) < 0)
		fail("%s: out of memory for property %s", d->path, name);
}

static uint32_t primary_plane(struct display *d)
{
	drmModePlaneRes *res = drmModeGetPlaneResources(d->fd);
	uint32_t id = 0, i;

	for (i = 0; res && i < res->count_planes && !id; i++) {
		uint64_t type = DRM_PLANE_TYPE_OVERLAY;

		property(d, res->planes[i], DRM_MODE_OBJECT_PLANE, "type", &type);
		if (type == DRM_PLANE_TYPE_PRIMARY)
			id = res->planes[i];
	}
	drmModeFreePlaneResources(res);
	if (!id)
		fail("%s: no primary plane", d->path);
	return id;
}

static bool mode_of_size(struct display *d, const drmModeConnector *c)
{
	int i;

	for (i = 0; i < c->count_modes; i++) {
		if (c->modes[i].hdisplay != WIDTH || c->modes[i].vdisplay != HEIGHT)
			continue;
		if (drmModeCreatePropertyBlob(d->fd, &c->modes[i], sizeof(c->modes[i]),
					      &d->mode_blob))
			fail_errno("%s: mode blob", d->path);
		return true;
	}
	return false;
}

static void connectors(struct display *d, const drmModeRes *res)
{
	int i;

	for (i = 0; i < res->count_connectors; i++) {
		drmModeConnector *c = drmModeGetConnector(d->fd, res->connectors[i]);

		if (!c)
			continue;
		if (c->connector_type == DRM_MODE_CONNECTOR_WRITEBACK)
			d->writeback = c->connector_id;
		else if (!d->connector && c->connection == DRM_MODE_CONNECTED &&
			 mode_of_size(d, c))
			d->connector = c->connector_id;
		drmModeFreeConnector(c);
	}
	if (!d->connector)
		fail("%s (" DRIVER "): no connected display has a mode of %ux%u",
		     d->path, WIDTH, HEIGHT);
	if (!d->writeback)
		fail("%s (" DRIVER "): no writeback connector (vkms.enable_writeback=1?)",
		     d->path);
}

void display_open(struct display *d)
{
	drmModeRes *res;
	uint64_t prime = 0;

	*d = (struct display) { .driver = DRIVER };
	d->fd = card_open(d);
	if (drmSetClientCap(d->fd, DRM_CLIENT_CAP_UNIVERSAL_PLANES, 1) ||
	    drmSetClientCap(d->fd, DRM_CLIENT_CAP_ATOMIC, 1) ||
	    drmSetClientCap(d->fd, DRM_CLIENT_CAP_WRITEBACK_CONNECTORS, 1))
		fail_errno("%s (" DRIVER "): atomic modesetting with writeback", d->path);
	if (drmGetCap(d->fd, DRM_CAP_PRIME, &prime) || !(prime & DRM_PRIME_CAP_IMPORT))
		fail("%s (" DRIVER ") cannot import dma-bufs", d->path);
	res = drmModeGetResources(d->fd);
	if (!res || !res->count_crtcs)
		fail("%s (" DRIVER "): no CRTC", d->path);
	d->crtc = res->crtcs[0];
	connectors(d, res);
	drmModeFreeResources(res);
	d->plane = primary_plane(d);
}

void display_close(struct display *d)
{
	drmModeDestroyPropertyBlob(d->fd, d->mode_blob);
	close(d->fd);
}

void display_import(struct display *d, struct buffer *buf, uint32_t fourcc)
{
	uint32_t handles[4] = {}, pitches[4] = {}, offsets[4] = {};

	if (drmPrimeFDToHandle(d->fd, buf->fd, &buf->handle))
		fail_errno("%s (" DRIVER "): import of a dma-buf", d->path);
	handles[0] = buf->handle;
	pitches[0] = fourcc == DRM_FORMAT_RGB888 ? WIDTH * 3 : WIDTH * 4;
	if (drmModeAddFB2(d->fd, WIDTH, HEIGHT, fourcc, handles, pitches, offsets,
			  &buf->fb, 0))
		fail_errno("%s (" DRIVER "): %ux%u %.4s framebuffer", d->path, WIDTH,
			   HEIGHT, (char *)&fourcc);
}

void display_release(struct display *d, struct buffer *buf)
{
	drmModeRmFB(d->fd, buf->fb);
	drmCloseBufferHandle(d->fd, buf->handle);
}

/* All that stays the same from frame to frame. */
static void switch_on(struct display *d, drmModeAtomicReq *req)
{
	const uint32_t type = DRM_MODE_OBJECT_PLANE;

	set(d, req, d->connector, DRM_MODE_OBJECT_CONNECTOR, "CRTC_ID", d->crtc);
	set(d, req, d->writeback, DRM_MODE_OBJECT_CONNECTOR, "CRTC_ID", d->crtc);
	set(d, req, d->crtc, DRM_MODE_OBJECT_CRTC, "MODE_ID", d->mode_blob);
	set(d, req, d->crtc, DRM_MODE_OBJECT_CRTC, "ACTIVE", 1);
	/* A console may have left a gamma table, which would change pixels. */
	set(d, req, d->crtc, DRM_MODE_OBJECT_CRTC, "GAMMA_LUT", 0);
	set(d, req, d->plane, type, "CRTC_ID", d->crtc);
	set(d, req, d->plane, type, "SRC_X", 0);
	set(d, req, d->plane, type, "SRC_Y", 0);
	set(d, req, d->plane, type, "SRC_W", (uint64_t)WIDTH << 16);
	set(d, req, d->plane, type, "SRC_H", (uint64_t)HEIGHT << 16);
	set(d, req, d->plane, type, "CRTC_X", 0);
	set(d, req, d->plane, type, "CRTC_Y", 0);
	set(d, req, d->plane, type, "CRTC_W", WIDTH);
	set(d, req, d->plane, type, "CRTC_H", HEIGHT);
}

static void flipped(int fd, unsigned int sequence, unsigned int sec,
		    unsigned int usec, void *data)
{
	(void)fd, (void)sequence, (void)sec, (void)usec;
	*(bool *)data = true;
}

/* The fence tells that the job has ended; its status tells whether well. */
static void await_writeback(struct display *d, int fence)
{
	struct sync_file_info info = {};

	if (fence < 0)
		fail("%s (" DRIVER "): no fence for the writeback", d->path);
	await(fence, POLLIN, "vkms: writeback of a frame");
	if (ioctl(fence, SYNC_IOC_FILE_INFO, &info))
		fail_errno("%s: status of the writeback", d->path);
	if (info.status != 1)
		fail("%s (" DRIVER "): writeback ended with %d", d->path, info.status);
	close(fence);
}

/* References that the kernel holds to framebuffer @fb, as debugfs tells. */
static unsigned int framebuffer_references(const struct display *d, uint32_t fb)
{
	unsigned int id, references = 0;
	bool mine = false;
	char line[256];
	FILE *f;

	snprintf(line, sizeof(line), "/sys/kernel/debug/dri/%s/framebuffer",
		 d->path + strlen(CARD));
	f = fopen(line, "re");
	if (!f)
		fail_errno("%s (debugfs mounted, CONFIG_DEBUG_FS set?)", line);
	while (!references && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "framebuffer[%u]", &id) == 1)
			mine = id == fb;
		else if (mine)
			sscanf(line, " refcount=%u", &references);
	}
	fclose(f);
	if (!references)
		fail("%s (" DRIVER "): debugfs does not list framebuffer %u", d->path, fb);
	return references;
}

/*
 * vkms signals the fence first and switches its composer off afterwards, in a
 * worker. Were the next frame committed in between, the composer would be off
 * for it and its writeback would never come. The worker lets go of the
 * framebuffer last, and then only our own reference is left.
 */
static void await_cleanup(const struct display *d, uint32_t fb)
{
	unsigned int ms;

	for (ms = 0; framebuffer_references(d, fb) > 1; ms++) {
		if (ms == STEP_MS)
			fail("%s (" DRIVER "): writeback was not cleaned up", d->path);
		usleep(1000);
	}
}

/*
 * Show @frame and return when it is on screen and, as the display showed it, in
 * @writeback.
 */
void display_show(struct display *d, const struct buffer *frame,
		  const struct buffer *writeback)
{
	drmModeAtomicReq *req = drmModeAtomicAlloc();
	uint32_t flags = DRM_MODE_ATOMIC_NONBLOCK | DRM_MODE_PAGE_FLIP_EVENT;
	drmEventContext events = { .version = 2, .page_flip_handler = flipped };
	bool done = false;
	int32_t fence = -1;

	if (!req)
		fail("%s: out of memory", d->path);
	if (!d->lit) {
		switch_on(d, req);
		flags |= DRM_MODE_ATOMIC_ALLOW_MODESET;
	}
	set(d, req, d->plane, DRM_MODE_OBJECT_PLANE, "FB_ID", frame->fb);
	set(d, req, d->writeback, DRM_MODE_OBJECT_CONNECTOR, "WRITEBACK_FB_ID",
	    writeback->fb);
	set(d, req, d->writeback, DRM_MODE_OBJECT_CONNECTOR, "WRITEBACK_OUT_FENCE_PTR",
	    (uintptr_t)&fence);
	if (drmModeAtomicCommit(d->fd, req, flags, &done))
		fail_errno("%s (" DRIVER "): atomic commit", d->path);
	drmModeAtomicFree(req);
	d->lit = true;
	await_writeback(d, fence);
	while (!done) {
		await(d->fd, POLLIN, "vkms: page flip");
		drmHandleEvent(d->fd, &events);
	}
	await_cleanup(d, writeback->fb);
}

void display_off(struct display *d)
{
	drmModeAtomicReq *req = drmModeAtomicAlloc();

	if (!req)
		fail("%s: out of memory", d->path);
	set(d, req, d->plane, DRM_MODE_OBJECT_PLANE, "FB_ID", 0);
	set(d, req, d->plane, DRM_MODE_OBJECT_PLANE, "CRTC_ID", 0);
	set(d, req, d->connector, DRM_MODE_OBJECT_CONNECTOR, "CRTC_ID", 0);
	set(d, req, d->writeback, DRM_MODE_OBJECT_CONNECTOR, "CRTC_ID", 0);
	set(d, req, d->crtc, DRM_MODE_OBJECT_CRTC, "MODE_ID", 0);
	set(d, req, d->crtc, DRM_MODE_OBJECT_CRTC, "ACTIVE", 0);
	if (drmModeAtomicCommit(d->fd, req, DRM_MODE_ATOMIC_ALLOW_MODESET, NULL))
		fail_errno("%s (" DRIVER "): switching off", d->path);
	drmModeAtomicFree(req);
	d->lit = false;
}

/* From the framebuffer back to the dma-buf: no step uses what we remember. */
uint64_t framebuffer_inode(struct display *d, uint32_t fb)
{
	drmModeFB2 *info = drmModeGetFB2(d->fd, fb);
	uint64_t ino;
	int fd;

	if (!info)
		fail_errno("%s (" DRIVER "): framebuffer %u", d->path, fb);
	if (drmPrimeHandleToFD(d->fd, info->handles[0], O_CLOEXEC, &fd))
		fail_errno("%s (" DRIVER "): dma-buf of framebuffer %u", d->path, fb);
	ino = inode_of(fd);
	close(fd);
	/* The ioctl made a handle of its own. */
	drmCloseBufferHandle(d->fd, info->handles[0]);
	drmModeFreeFB2(info);
	return ino;
}

uint64_t display_inode(struct display *d)
{
	drmModePlane *plane = drmModeGetPlane(d->fd, d->plane);
	uint32_t fb;

	if (!plane)
		fail_errno("%s (" DRIVER "): plane %u", d->path, d->plane);
	fb = plane->fb_id;
	drmModeFreePlane(plane);
	return framebuffer_inode(d, fb);
}
