#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Frames that an application makes itself, in memory of a dma-buf heap.

The argument is the sink, with its properties: kmssink if there is none.
"""

import itertools
import sys

import gi
gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst

LUMA = 1280 * 720
SIZE = LUMA * 3 // 2
FRAMES = 120

Gst.init(None)
pipeline = Gst.parse_launch(
    "appsrc name=app format=time "
    "caps=video/x-raw,format=NV12,width=1280,height=720,framerate=30/1 "
    "! dmaheapalloc name=heap downstream-pool=replace ! "
    + (sys.argv[1] if len(sys.argv) > 1 else "kmssink"))
app = pipeline.get_by_name("app")
allocator = pipeline.get_by_name("heap").get_property("allocator")
if allocator is None:
    sys.exit("no heap; GST_DEBUG=dmaheapalloc:4 tells why")

number = itertools.count()


def push_frame(app, _length):
    n = next(number)
    if n >= FRAMES:
        app.emit("end-of-stream")
        return
    # A frame is freed when the display has shown it.
    try:
        frame = Gst.Buffer.new_allocate(allocator, SIZE, None)
    except TypeError:  # what PyGObject makes of NULL
        frame = None
    if frame is None:
        pipeline.get_bus().post(Gst.Message.new_error(app, GLib.Error.new_literal(
            Gst.ResourceError.quark(), "No frame of the heap.",
            Gst.ResourceError.NO_SPACE_LEFT), ""))
        return
    frame.memset(0, 16 + n, LUMA)
    frame.memset(LUMA, 128, SIZE - LUMA)
    frame.pts = n * Gst.SECOND // 30
    app.emit("push-buffer", frame)


app.connect("need-data", push_frame)
pipeline.set_state(Gst.State.PLAYING)
message = pipeline.get_bus().timed_pop_filtered(
    Gst.CLOCK_TIME_NONE, Gst.MessageType.EOS | Gst.MessageType.ERROR)
pipeline.set_state(Gst.State.NULL)
if message.type == Gst.MessageType.ERROR:
    sys.exit(message.parse_error()[0].message)
