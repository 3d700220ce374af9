/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GStreamer plugin for Linux dma-buf heaps
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstdmaheapalloc.h"

static gboolean
plugin_init (GstPlugin * plugin)
{
  return GST_ELEMENT_REGISTER (dmaheapalloc, plugin);
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, dmaheap,
    "Video buffers from Linux dma-buf heaps", plugin_init, PACKAGE_VERSION,
    "LGPL", GST_PACKAGE_NAME, GST_PACKAGE_ORIGIN)
