/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GStreamer allocator for Linux dma-buf heaps
 */

/**
 * SECTION:gstdmaheapallocator
 * @title: GstDmaHeapAllocator
 * @short_description: Memory of a Linux dma-buf heap
 * @see_also: #GstDmaBufAllocator
 *
 * An allocator of #GstMemory that is a dma-buf of its own, from one of the
 * heaps in /dev/dma_heap. #GstDmaBufAllocator only wraps file descriptors that
 * somebody else has got; this one gets them.
 *
 * It works wherever an allocator is taken: gst_allocator_alloc(),
 * gst_buffer_new_allocate(), gst_buffer_pool_config_set_allocator().
 *
 * Memory that is mapped for the first time stays mapped for reading and writing
 * until it is freed. Each gst_memory_map() and gst_memory_unmap() is one
 * `DMA_BUF_IOCTL_SYNC`, for the access that was asked for.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstdmaheapallocator.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/dma-heap.h>

GST_DEBUG_CATEGORY_STATIC (gst_dma_heap_allocator_debug);
#define GST_CAT_DEFAULT gst_dma_heap_allocator_debug

enum
{
  PROP_0,
  PROP_HEAP,
};

struct _GstDmaHeapAllocator
{
  GstDmaBufAllocator parent;

  gchar *heap;
  gint fd;                      /* -1 until it is opened; object lock */

  /* What GstFdAllocator does */
  GstMemoryMapFunction fd_map;
};

#define gst_dma_heap_allocator_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE (GstDmaHeapAllocator, gst_dma_heap_allocator,
    GST_TYPE_DMABUF_ALLOCATOR,
    GST_DEBUG_CATEGORY_INIT (gst_dma_heap_allocator_debug, "dmaheapallocator",
        0, "dma-buf heap allocator"));

static gint
gst_dma_heap_allocator_open (GstDmaHeapAllocator * self, GError ** error)
{
  gint fd, err = 0;

  GST_OBJECT_LOCK (self);
  if (self->fd < 0) {
    self->fd = open (self->heap, O_RDWR | O_CLOEXEC);
    err = errno;
  }
  fd = self->fd;
  GST_OBJECT_UNLOCK (self);

  if (fd < 0)
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ_WRITE,
        "Could not open heap %s: %s (errno %d)", self->heap, g_strerror (err),
        err);

  return fd;
}

/**
 * gst_dma_heap_allocator_alloc:
 * @self: a #GstDmaHeapAllocator
 * @size: how many bytes
 * @params: (nullable): alignment, prefix and padding
 * @error: (out) (optional): why there is no memory
 *
 * What gst_allocator_alloc() does, with the reason of a failure.
 *
 * #GstMemory.maxsize is what the kernel has given, a multiple of the page size:
 * drivers whose buffers end on a page find theirs large enough.
 *
 * Returns: (transfer full) (nullable): memory filled with zeros
 */
GstMemory *
gst_dma_heap_allocator_alloc (GstDmaHeapAllocator * self, gsize size,
    const GstAllocationParams * params, GError ** error)
{
  struct dma_heap_allocation_data data = { 0, };
  GstAllocationParams defaults;
  gsize page_mask = sysconf (_SC_PAGESIZE) - 1;
  gsize maxsize;
  GstMemory *mem;
  gint heap_fd, ret, err;

  g_return_val_if_fail (GST_IS_DMA_HEAP_ALLOCATOR (self), NULL);

  if (params == NULL) {
    gst_allocation_params_init (&defaults);
    params = &defaults;
  }

  /* Memory begins where a page does, and nobody can have it begin elsewhere */
  if (params->align > page_mask) {
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
        "Heap %s cannot align memory to %" G_GSIZE_FORMAT " bytes", self->heap,
        params->align + 1);
    return NULL;
  }

  if (!g_size_checked_add (&maxsize, size, params->prefix) ||
      !g_size_checked_add (&maxsize, maxsize, params->padding) ||
      !g_size_checked_add (&maxsize, maxsize, page_mask)) {
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT,
        "More bytes than there are addresses asked from heap %s", self->heap);
    return NULL;
  }
  maxsize &= ~page_mask;

  heap_fd = gst_dma_heap_allocator_open (self, error);
  if (heap_fd < 0)
    return NULL;

  data.len = maxsize;
  data.fd_flags = O_RDWR | O_CLOEXEC;
  do {
    ret = ioctl (heap_fd, DMA_HEAP_IOCTL_ALLOC, &data);
    err = errno;
  } while (ret < 0 && err == EINTR);

  if (ret < 0) {
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT,
        "Could not allocate %" G_GSIZE_FORMAT " bytes from heap %s: %s "
        "(errno %d)%s", maxsize, self->heap, g_strerror (err), err,
        err == ENOTTY ? ", it is no dma-buf heap" : "");
    return NULL;
  }

  /* To map a frame anew each time costs the page faults of a frame */
  mem = gst_dmabuf_allocator_alloc_with_flags (GST_ALLOCATOR_CAST (self),
      data.fd, maxsize, GST_FD_MEMORY_FLAG_KEEP_MAPPED);
  mem->align = params->align;
  gst_memory_resize (mem, params->prefix, size);

  /* Heaps give nothing away of what was in memory before */
  GST_MINI_OBJECT_FLAG_SET (mem, params->flags &
      (GST_MEMORY_FLAG_ZERO_PREFIXED | GST_MEMORY_FLAG_ZERO_PADDED));

  GST_LOG_OBJECT (self, "%p: %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT
      " bytes, fd %d", mem, size, maxsize, (gint) data.fd);

  return mem;
}

static GstMemory *
gst_dma_heap_allocator_alloc_memory (GstAllocator * allocator, gsize size,
    GstAllocationParams * params)
{
  GError *error = NULL;
  GstMemory *mem;

  mem = gst_dma_heap_allocator_alloc (GST_DMA_HEAP_ALLOCATOR (allocator), size,
      params, &error);
  if (mem == NULL) {
    GST_ERROR_OBJECT (allocator, "%s", error->message);
    g_error_free (error);
  }

  return mem;
}

/* Whatever the access, the mapping serves both. Memory that is mapped for
 * reading can then be mapped once more for writing, which GstFdMemory refuses,
 * and no mprotect() splits or write-protects what the heap maps in large
 * pages. */
static gpointer
gst_dma_heap_memory_map (GstMemory * mem, gsize maxsize, GstMapFlags flags)
{
  GstDmaHeapAllocator *self = GST_DMA_HEAP_ALLOCATOR (mem->allocator);

  return self->fd_map (mem, maxsize, flags | GST_MAP_READWRITE);
}

static gboolean
gst_dma_heap_memory_sync (GstMemory * mem, guint64 edge, GstMapFlags flags)
{
  struct dma_buf_sync sync = { 0, };
  gint ret;

  sync.flags = edge;
  if (flags & GST_MAP_READ)
    sync.flags |= DMA_BUF_SYNC_READ;
  if (flags & GST_MAP_WRITE)
    sync.flags |= DMA_BUF_SYNC_WRITE;
  if (!(sync.flags & DMA_BUF_SYNC_RW))
    return TRUE;

  do {
    ret = ioctl (gst_fd_memory_get_fd (mem), DMA_BUF_IOCTL_SYNC, &sync);
  } while (ret < 0 && (errno == EINTR || errno == EAGAIN));

  if (ret < 0)
    GST_ERROR_OBJECT (mem->allocator, "%p: DMA_BUF_IOCTL_SYNC: %s (errno %d)",
        mem, g_strerror (errno), errno);

  return ret == 0;
}

/* GstDmaBufAllocator brackets access in the same way, but it goes on when a
 * signal has interrupted the ioctl, which waits for devices: the CPU would then
 * read what was in its caches before. */
static gpointer
gst_dma_heap_memory_map_full (GstMemory * mem, GstMapInfo * info, gsize maxsize)
{
  GstAllocator *allocator = mem->allocator;
  gpointer data;

  data = allocator->mem_map (mem, maxsize, info->flags);
  if (data == NULL)
    return NULL;

  if (!gst_dma_heap_memory_sync (mem, DMA_BUF_SYNC_START, info->flags)) {
    allocator->mem_unmap (mem);
    return NULL;
  }

  return data;
}

static void
gst_dma_heap_memory_unmap_full (GstMemory * mem, GstMapInfo * info)
{
  gst_dma_heap_memory_sync (mem, DMA_BUF_SYNC_END, info->flags);
  mem->allocator->mem_unmap (mem);
}

static void
gst_dma_heap_allocator_set_property (GObject * object, guint prop_id,
    const GValue * value, GParamSpec * pspec)
{
  GstDmaHeapAllocator *self = GST_DMA_HEAP_ALLOCATOR (object);

  switch (prop_id) {
    case PROP_HEAP:
      self->heap = g_value_dup_string (value);
      if (self->heap == NULL)
        self->heap = g_strdup (GST_DMA_HEAP_DEFAULT_PATH);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
  }
}

static void
gst_dma_heap_allocator_get_property (GObject * object, guint prop_id,
    GValue * value, GParamSpec * pspec)
{
  GstDmaHeapAllocator *self = GST_DMA_HEAP_ALLOCATOR (object);

  switch (prop_id) {
    case PROP_HEAP:
      g_value_set_string (value, self->heap);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
  }
}

static void
gst_dma_heap_allocator_finalize (GObject * object)
{
  GstDmaHeapAllocator *self = GST_DMA_HEAP_ALLOCATOR (object);

  if (self->fd >= 0)
    close (self->fd);
  g_free (self->heap);

  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
gst_dma_heap_allocator_class_init (GstDmaHeapAllocatorClass * klass)
{
  GObjectClass *gobject_class = G_OBJECT_CLASS (klass);
  GstAllocatorClass *allocator_class = GST_ALLOCATOR_CLASS (klass);

  gobject_class->set_property = gst_dma_heap_allocator_set_property;
  gobject_class->get_property = gst_dma_heap_allocator_get_property;
  gobject_class->finalize = gst_dma_heap_allocator_finalize;

  allocator_class->alloc = gst_dma_heap_allocator_alloc_memory;

  /**
   * GstDmaHeapAllocator:heap:
   *
   * The path of the heap's device. It is opened when the first memory is asked
   * for, or by gst_dma_heap_allocator_new().
   */
  g_object_class_install_property (gobject_class, PROP_HEAP,
      g_param_spec_string ("heap", "Heap", "Path of the heap's device",
          GST_DMA_HEAP_DEFAULT_PATH,
          G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS));
}

static void
gst_dma_heap_allocator_init (GstDmaHeapAllocator * self)
{
  GstAllocator *allocator = GST_ALLOCATOR_CAST (self);

  self->fd = -1;

  /* The memory type stays "dmabuf", which is what elements ask for */
  self->fd_map = allocator->mem_map;
  allocator->mem_map = gst_dma_heap_memory_map;
  allocator->mem_map_full = gst_dma_heap_memory_map_full;
  allocator->mem_unmap_full = gst_dma_heap_memory_unmap_full;

  /* GstFdAllocator sets it, since it cannot allocate. With it, pools take
   * memory of the system instead of ours and say nothing. */
  GST_OBJECT_FLAG_UNSET (allocator, GST_ALLOCATOR_FLAG_CUSTOM_ALLOC);
}

/**
 * gst_dma_heap_allocator_new:
 * @heap: (nullable): path of the heap's device, %NULL for the default one
 * @error: (out) (optional): why the heap cannot be opened
 *
 * Opens a heap. The error's message has the path and what errno says.
 *
 * Returns: (transfer full) (nullable): a new allocator
 */
GstAllocator *
gst_dma_heap_allocator_new (const gchar * heap, GError ** error)
{
  GstDmaHeapAllocator *self;

  self = g_object_new (GST_TYPE_DMA_HEAP_ALLOCATOR, "heap", heap, NULL);
  gst_object_ref_sink (self);

  if (gst_dma_heap_allocator_open (self, error) < 0) {
    gst_object_unref (self);
    return NULL;
  }

  return GST_ALLOCATOR_CAST (self);
}

/**
 * gst_dma_heap_allocator_get_heap:
 * @self: a #GstDmaHeapAllocator
 *
 * Returns: (transfer none): the path of the heap's device
 */
const gchar *
gst_dma_heap_allocator_get_heap (GstDmaHeapAllocator * self)
{
  g_return_val_if_fail (GST_IS_DMA_HEAP_ALLOCATOR (self), NULL);

  return self->heap;
}
