// SPDX-License-Identifier: GPL-2.0
/* V4L2 devices, and queues that import buffers of the heap. */

#include <errno.h>
#include <fcntl.h>
#include <linux/v4l2-dv-timings.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "demo.h"

#define NODES_MAX	64

static void xioctl(struct video *dev, unsigned long request, void *arg,
		   const char *what)
{
	int ret;

	do {
		ret = ioctl(dev->fd, request, arg);
	} while (ret && errno == EINTR);
	if (ret)
		fail_errno("%s (%s): %s", dev->path, dev->driver, what);
}

static bool has_format(int fd, uint32_t type, uint32_t fourcc)
{
	struct v4l2_fmtdesc desc = { .type = type };

	for (; ioctl(fd, VIDIOC_ENUM_FMT, &desc) == 0; desc.index++)
		if (desc.pixelformat == fourcc)
			return true;
	return false;
}

/* Node numbers depend on the order of probing, so look at what a node is. */
static void device_open(struct video *dev, const char *driver, uint32_t caps,
			uint32_t type, uint32_t fourcc, const char *what)
{
	unsigned int i;

	for (i = 0; i < NODES_MAX; i++) {
		struct v4l2_capability cap = {};

		snprintf(dev->path, sizeof(dev->path), "/dev/video%u", i);
		dev->fd = open(dev->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (dev->fd < 0)
			continue;
		if (ioctl(dev->fd, VIDIOC_QUERYCAP, &cap) == 0 &&
		    strcmp((char *)cap.driver, driver) == 0 &&
		    (cap.device_caps & caps) == caps &&
		    has_format(dev->fd, type, fourcc)) {
			snprintf(dev->driver, sizeof(dev->driver), "%s", driver);
			return;
		}
		close(dev->fd);
	}
	fail("no /dev/video node is the %s of driver %s", what, driver);
}

void camera_open(struct video *dev)
{
	device_open(dev, "vivid", V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING,
		    V4L2_BUF_TYPE_VIDEO_CAPTURE, V4L2_PIX_FMT_ABGR32, "camera");
}

void encoder_open(struct video *dev)
{
	device_open(dev, "vicodec", V4L2_CAP_VIDEO_M2M | V4L2_CAP_STREAMING,
		    V4L2_BUF_TYPE_VIDEO_CAPTURE, V4L2_PIX_FMT_FWHT, "encoder");
}

void decoder_open(struct video *dev)
{
	device_open(dev, "vicodec", V4L2_CAP_VIDEO_M2M | V4L2_CAP_STREAMING,
		    V4L2_BUF_TYPE_VIDEO_OUTPUT, V4L2_PIX_FMT_FWHT, "decoder");
}

void video_close(struct video *dev)
{
	close(dev->fd);
	dev->fd = -1;
}

static int menu_index(struct video *dev, const struct v4l2_queryctrl *ctrl,
		      const char *item)
{
	struct v4l2_querymenu menu = { .id = ctrl->id };
	int i;

	for (i = ctrl->minimum; i <= ctrl->maximum; i++) {
		menu.index = i;
		if (ioctl(dev->fd, VIDIOC_QUERYMENU, &menu) == 0 &&
		    strcmp((char *)menu.name, item) == 0)
			return i;
	}
	fail("%s: control '%s' has no item '%s'", dev->path, ctrl->name, item);
}

/* Sets the control called @name to @item of its menu, or to @value. */
void control_set(struct video *dev, const char *name, const char *item, int value)
{
	struct v4l2_queryctrl query = { .id = V4L2_CTRL_FLAG_NEXT_CTRL };
	struct v4l2_control ctrl;

	for (;; query.id |= V4L2_CTRL_FLAG_NEXT_CTRL) {
		if (ioctl(dev->fd, VIDIOC_QUERYCTRL, &query))
			fail("%s (%s) has no control '%s'", dev->path, dev->driver, name);
		if (strcmp((char *)query.name, name) == 0)
			break;
	}
	ctrl.id = query.id;
	ctrl.value = item ? menu_index(dev, &query, item) : value;
	xioctl(dev, VIDIOC_S_CTRL, &ctrl, name);
}

/*
 * The HDMI input is the one that is progressive at 1280x720. The picture moves
 * and carries a counter, so that no two frames are alike.
 */
void camera_setup(struct video *dev, bool still)
{
	struct v4l2_dv_timings timings = V4L2_DV_BT_CEA_1280X720P60;
	struct v4l2_input input = {};
	int index;

	for (;; input.index++) {
		if (ioctl(dev->fd, VIDIOC_ENUMINPUT, &input))
			fail("%s (%s) has no input with digital timings",
			     dev->path, dev->driver);
		if (input.capabilities & V4L2_IN_CAP_DV_TIMINGS)
			break;
	}
	index = input.index;
	xioctl(dev, VIDIOC_S_INPUT, &index, "selection of the HDMI input");
	xioctl(dev, VIDIOC_S_DV_TIMINGS, &timings, "timings 1280x720p60");
	control_set(dev, "Test Pattern", "75% Colorbar", 0);
	control_set(dev, "Horizontal Movement", still ? "No Movement" : "Move Right", 0);
	control_set(dev, "OSD Text Mode", still ? "None" : "All", 0);
	/* Opaque, or the display would blend and the fourth byte differ. */
	control_set(dev, "Alpha Component", NULL, 255);
}

void format_get(struct video *dev, uint32_t type, struct v4l2_pix_format *pix)
{
	struct v4l2_format fmt = { .type = type };

	xioctl(dev, VIDIOC_G_FMT, &fmt, "VIDIOC_G_FMT");
	*pix = fmt.fmt.pix;
}

void format_set(struct video *dev, uint32_t type, struct v4l2_pix_format *pix)
{
	struct v4l2_format fmt = { .type = type };
	uint32_t fourcc = pix->pixelformat;

	pix->width = WIDTH;
	pix->height = HEIGHT;
	fmt.fmt.pix = *pix;
	xioctl(dev, VIDIOC_S_FMT, &fmt, "VIDIOC_S_FMT");
	*pix = fmt.fmt.pix;
	if (pix->pixelformat != fourcc || pix->width != WIDTH || pix->height != HEIGHT)
		fail("%s (%s) offers %ux%u %.4s instead of %ux%u %.4s", dev->path,
		     dev->driver, pix->width, pix->height, (char *)&pix->pixelformat,
		     WIDTH, HEIGHT, (char *)&fourcc);
	/* Buffers pass from device to device, so lines must not be padded. */
	if ((fourcc == V4L2_PIX_FMT_ABGR32 && pix->bytesperline != WIDTH * 4) ||
	    (fourcc == V4L2_PIX_FMT_BGR24 && pix->bytesperline != WIDTH * 3))
		fail("%s (%s) pads lines to %u bytes", dev->path, dev->driver,
		     pix->bytesperline);
}

void source_change_subscribe(struct video *dev)
{
	struct v4l2_event_subscription sub = { .type = V4L2_EVENT_SOURCE_CHANGE };

	xioctl(dev, VIDIOC_SUBSCRIBE_EVENT, &sub, "subscription of the source change");
}

void source_change_await(struct video *dev)
{
	struct v4l2_event event = {};
	char what[128];

	snprintf(what, sizeof(what), "%s (%s): source change", dev->path, dev->driver);
	do {
		await(dev->fd, POLLPRI, what);
		xioctl(dev, VIDIOC_DQEVENT, &event, "VIDIOC_DQEVENT");
	} while (event.type != V4L2_EVENT_SOURCE_CHANGE);
}

void queue_init(struct queue *q, struct video *dev, uint32_t type,
		struct buffer *bufs, unsigned int count)
{
	struct v4l2_requestbuffers req = {
		.count = count,
		.type = type,
		.memory = V4L2_MEMORY_DMABUF,
	};

	*q = (struct queue) { .dev = dev, .type = type, .bufs = bufs, .count = count };
	xioctl(dev, VIDIOC_REQBUFS, &req, "VIDIOC_REQBUFS for dma-bufs");
	if (req.count < count)
		fail("%s (%s) takes %u buffers, not %u", dev->path, dev->driver,
		     req.count, count);
}

/* @from: the buffer whose content and time stamp goes in, NULL to have it filled */
void queue_put(struct queue *q, unsigned int index, const struct v4l2_buffer *from)
{
	struct v4l2_buffer buf = {
		.type = q->type,
		.memory = V4L2_MEMORY_DMABUF,
		.index = index,
		.m.fd = q->bufs[index].fd,
		.length = q->bufs[index].size,
		.field = V4L2_FIELD_NONE,
	};

	if (from) {
		buf.bytesused = from->bytesused;
		buf.timestamp = from->timestamp;
	}
	xioctl(q->dev, VIDIOC_QBUF, &buf, "import of a buffer (VIDIOC_QBUF)");
}

void queue_get(struct queue *q, struct v4l2_buffer *buf)
{
	bool capture = q->type == V4L2_BUF_TYPE_VIDEO_CAPTURE;
	char what[128];

	snprintf(what, sizeof(what), "%s (%s): %s buffer", q->dev->path, q->dev->driver,
		 capture ? "a filled" : "a consumed");
	await(q->dev->fd, capture ? POLLIN : POLLOUT, what);
	*buf = (struct v4l2_buffer) { .type = q->type, .memory = V4L2_MEMORY_DMABUF };
	xioctl(q->dev, VIDIOC_DQBUF, buf, "VIDIOC_DQBUF");
	if (buf->flags & V4L2_BUF_FLAG_ERROR)
		fail("%s (%s) flags buffer %u as faulty", q->dev->path, q->dev->driver,
		     buf->index);
	if (buf->index >= q->count)
		fail("%s (%s) returns buffer %u, which was never queued",
		     q->dev->path, q->dev->driver, buf->index);
}

void queue_start(struct queue *q)
{
	xioctl(q->dev, VIDIOC_STREAMON, &q->type, "VIDIOC_STREAMON");
}

/* Also drops the driver's references to the buffers. */
void queue_stop(struct queue *q)
{
	struct v4l2_requestbuffers req = {
		.type = q->type,
		.memory = V4L2_MEMORY_DMABUF,
	};

	xioctl(q->dev, VIDIOC_STREAMOFF, &q->type, "VIDIOC_STREAMOFF");
	xioctl(q->dev, VIDIOC_REQBUFS, &req, "VIDIOC_REQBUFS to none");
}
