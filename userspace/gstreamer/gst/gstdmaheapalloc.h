/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GStreamer element that has frames put into memory of a dma-buf heap
 */

#ifndef __GST_DMA_HEAP_ALLOC_H__
#define __GST_DMA_HEAP_ALLOC_H__

#include <gst/gst.h>
#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

/**
 * GstDmaHeapDownstreamPool:
 * @GST_DMA_HEAP_DOWNSTREAM_POOL_KEEP: pass it on, the heap is not used then
 * @GST_DMA_HEAP_DOWNSTREAM_POOL_REPLACE: offer the heap instead
 *
 * What becomes of a buffer pool that the element downstream proposes.
 */
typedef enum
{
  GST_DMA_HEAP_DOWNSTREAM_POOL_KEEP,
  GST_DMA_HEAP_DOWNSTREAM_POOL_REPLACE,
} GstDmaHeapDownstreamPool;

#define GST_TYPE_DMA_HEAP_DOWNSTREAM_POOL (gst_dma_heap_downstream_pool_get_type ())
GType gst_dma_heap_downstream_pool_get_type (void);

#define GST_TYPE_DMA_HEAP_ALLOC (gst_dma_heap_alloc_get_type ())
G_DECLARE_FINAL_TYPE (GstDmaHeapAlloc, gst_dma_heap_alloc,
    GST, DMA_HEAP_ALLOC, GstBaseTransform)

GST_ELEMENT_REGISTER_DECLARE (dmaheapalloc);

G_END_DECLS

#endif /* __GST_DMA_HEAP_ALLOC_H__ */
