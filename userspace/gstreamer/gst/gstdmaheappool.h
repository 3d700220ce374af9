/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GStreamer pool of video buffers from a dma-buf heap
 */

#ifndef __GST_DMA_HEAP_POOL_H__
#define __GST_DMA_HEAP_POOL_H__

#include <gst/gst.h>
#include <gst/video/video.h>
#include <gst/video/gstvideopool.h>

#include "gstdmaheapallocator.h"

G_BEGIN_DECLS

#define GST_TYPE_DMA_HEAP_POOL (gst_dma_heap_pool_get_type ())
G_DECLARE_FINAL_TYPE (GstDmaHeapPool, gst_dma_heap_pool,
    GST, DMA_HEAP_POOL, GstVideoBufferPool)

GstBufferPool * gst_dma_heap_pool_new             (GstElement * owner,
                                                   GstDmaHeapAllocator * allocator,
                                                   const GstVideoAlignment * align,
                                                   gboolean memory_per_plane);

gboolean        gst_dma_heap_video_info_from_caps (GstVideoInfo * info,
                                                   const GstCaps * caps);

void            gst_dma_heap_alignment_merge      (GstVideoAlignment * align,
                                                   const GstVideoAlignment * other);

G_END_DECLS

#endif /* __GST_DMA_HEAP_POOL_H__ */
