/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GStreamer allocator for Linux dma-buf heaps
 */

#ifndef __GST_DMA_HEAP_ALLOCATOR_H__
#define __GST_DMA_HEAP_ALLOCATOR_H__

#include <gst/gst.h>
#include <gst/allocators/gstdmabuf.h>

G_BEGIN_DECLS

#define GST_TYPE_DMA_HEAP_ALLOCATOR (gst_dma_heap_allocator_get_type ())
G_DECLARE_FINAL_TYPE (GstDmaHeapAllocator, gst_dma_heap_allocator,
    GST, DMA_HEAP_ALLOCATOR, GstDmaBufAllocator)

GstAllocator * gst_dma_heap_allocator_new      (const gchar * heap,
                                                GError ** error);

const gchar *  gst_dma_heap_allocator_get_heap (GstDmaHeapAllocator * self);

GstMemory *    gst_dma_heap_allocator_alloc    (GstDmaHeapAllocator * self,
                                                gsize size,
                                                const GstAllocationParams * params,
                                                GError ** error);

G_END_DECLS

#endif /* __GST_DMA_HEAP_ALLOCATOR_H__ */
