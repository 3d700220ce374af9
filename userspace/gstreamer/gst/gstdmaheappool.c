/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GStreamer pool of video buffers from a dma-buf heap
 */

/**
 * SECTION:gstdmaheappool
 * @title: GstDmaHeapPool
 * @short_description: Video buffers from a dma-buf heap
 * @see_also: #GstVideoBufferPool, #GstDmaHeapAllocator
 *
 * A #GstVideoBufferPool whose buffers come from one heap, whatever allocator
 * its user configures, with at least the padding that it was made with. It
 * differs from its parent in four points:
 *
 * - It takes `format=DMA_DRM` caps with a linear layout in any version of
 *   GStreamer that has them.
 * - It can give each plane a dma-buf of its own, for V4L2 devices with formats
 *   like NV12M.
 * - A buffer is handed out when no device reads it any more, as the fences in
 *   the dma-buf tell. The CPU waits for these in gst_memory_map(), but V4L2
 *   devices do not.
 * - The element that has offered it posts an error when the heap has no memory.
 *
 * #GstVideoDmabufPool of GStreamer 1.28 does the third of these, and works with
 * #GstDmaHeapAllocator. It is not the parent, since it aligns all strides to
 * 256 bytes, which camera drivers need not accept, and refuses whoever does not
 * ask for #GstVideoMeta and alignment.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstdmaheappool.h"

#include <errno.h>

GST_DEBUG_CATEGORY_STATIC (gst_dma_heap_pool_debug);
#define GST_CAT_DEFAULT gst_dma_heap_pool_debug

/* A fence that takes longer belongs to a device that hangs */
#define FENCE_TIMEOUT_MS 1000
/* So often a pool that waits looks whether it is to stop */
#define FENCE_SLICE_MS 50

/* From drm_fourcc.h */
#define MODIFIER_LINEAR G_GUINT64_CONSTANT (0)

struct _GstDmaHeapPool
{
  GstVideoBufferPool parent;

  GWeakRef owner;
  GstDmaHeapAllocator *allocator;
  GstVideoAlignment min_align;
  gboolean memory_per_plane;

  /* As configured */
  GstAllocationParams params;
  GstVideoInfo info;
  GstVideoAlignment align;
  gsize memory_size[GST_VIDEO_MAX_PLANES];
  guint n_memory;
  gboolean add_video_meta;
};

#define gst_dma_heap_pool_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE (GstDmaHeapPool, gst_dma_heap_pool,
    GST_TYPE_VIDEO_BUFFER_POOL,
    GST_DEBUG_CATEGORY_INIT (gst_dma_heap_pool_debug, "dmaheappool", 0,
        "dma-buf heap buffer pool"));

static gboolean
caps_are_dma_drm (const GstCaps * caps)
{
#if GST_CHECK_VERSION (1, 24, 0)
  return gst_video_is_dma_drm_caps (caps);
#else
  return FALSE;
#endif
}

/**
 * gst_dma_heap_video_info_from_caps:
 * @info: (out caller-allocates): the layout of frames
 * @caps: fixed caps, in system memory or dma-bufs
 *
 * Returns: whether memory of a heap can hold such frames: raw video in a linear
 *    layout
 */
gboolean
gst_dma_heap_video_info_from_caps (GstVideoInfo * info, const GstCaps * caps)
{
#if GST_CHECK_VERSION (1, 24, 0)
  if (gst_video_is_dma_drm_caps (caps)) {
    GstVideoInfoDmaDrm drm_info;

    /* How large tiled and compressed frames are, only the device knows */
    return gst_video_info_dma_drm_from_caps (&drm_info, caps) &&
        drm_info.drm_modifier == MODIFIER_LINEAR &&
        gst_video_info_dma_drm_to_video_info (&drm_info, info);
  }
#endif

  return gst_video_info_from_caps (info, caps) &&
      GST_VIDEO_INFO_SIZE (info) > 0;
}

/**
 * gst_dma_heap_alignment_merge:
 * @align: (inout): an alignment
 * @other: another one
 *
 * Makes @align so large that it satisfies both.
 */
void
gst_dma_heap_alignment_merge (GstVideoAlignment * align,
    const GstVideoAlignment * other)
{
  guint i;

  align->padding_top = MAX (align->padding_top, other->padding_top);
  align->padding_bottom = MAX (align->padding_bottom, other->padding_bottom);
  align->padding_left = MAX (align->padding_left, other->padding_left);
  align->padding_right = MAX (align->padding_right, other->padding_right);

  /* Masks of powers of two */
  for (i = 0; i < GST_VIDEO_MAX_PLANES; i++)
    align->stride_align[i] |= other->stride_align[i];
}

static gboolean
alignment_asks_for_something (const GstVideoAlignment * align)
{
  guint i, any;

  any = align->padding_top | align->padding_bottom | align->padding_left |
      align->padding_right;
  for (i = 0; i < GST_VIDEO_MAX_PLANES; i++)
    any |= align->stride_align[i];

  return any != 0;
}

/* With padding at the top or left the offset of a plane is not where its memory
 * begins, so that sizes come from the planes and not from their offsets. What
 * the user wants more than that goes to the last one. */
static gboolean
gst_dma_heap_pool_split (GstDmaHeapPool * self,
    const gsize plane_size[GST_VIDEO_MAX_PLANES], gsize size)
{
  guint i;

  self->n_memory = 1;
  if (self->memory_per_plane)
    self->n_memory = GST_VIDEO_INFO_N_PLANES (&self->info);

  for (i = 0; i + 1 < self->n_memory; i++) {
    if (plane_size[i] == 0 || plane_size[i] >= size)
      return FALSE;
    self->memory_size[i] = plane_size[i];
    size -= plane_size[i];
  }
  self->memory_size[i] = size;

  return TRUE;
}

static gboolean
gst_dma_heap_pool_set_config (GstBufferPool * pool, GstStructure * config)
{
  GstDmaHeapPool *self = GST_DMA_HEAP_POOL (pool);
  gsize plane_size[GST_VIDEO_MAX_PLANES] = { 0, };
  GstVideoAlignment align;
  GstVideoInfo info;
  GstCaps *caps;
  guint size, min_buffers, max_buffers, i;
  gboolean ret, meta_wanted;

  if (!gst_buffer_pool_config_get_params (config, &caps, &size, &min_buffers,
          &max_buffers) || caps == NULL) {
    GST_WARNING_OBJECT (self, "no caps in %" GST_PTR_FORMAT, config);
    return FALSE;
  }
  if (!gst_dma_heap_video_info_from_caps (&info, caps)) {
    GST_WARNING_OBJECT (self, "no linear raw video: %" GST_PTR_FORMAT, caps);
    return FALSE;
  }
  size = MAX (size, GST_VIDEO_INFO_SIZE (&info));

  /* Frames with this feature have no other description of their layout */
  if (gst_caps_features_contains (gst_caps_get_features (caps, 0),
          GST_CAPS_FEATURE_MEMORY_DMABUF))
    gst_buffer_pool_config_add_option (config,
        GST_BUFFER_POOL_OPTION_VIDEO_META);
  meta_wanted = gst_buffer_pool_config_has_option (config,
      GST_BUFFER_POOL_OPTION_VIDEO_META);
  /* Without it gst_video_frame_map() would merge planes that have a memory each,
   * into system memory that takes their place. Who does not look at it has the
   * layout that it expects. */
  self->add_video_meta = meta_wanted || (self->memory_per_plane &&
      GST_VIDEO_INFO_N_PLANES (&info) > 1);

  /* Users tend to set the allocator that they have found in a query, or none */
  gst_buffer_pool_config_get_allocator (config, NULL, &self->params);

  gst_video_alignment_reset (&align);
  if (meta_wanted) {
    if (gst_buffer_pool_config_has_option (config,
            GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT))
      gst_buffer_pool_config_get_video_alignment (config, &align);
    gst_dma_heap_alignment_merge (&align, &self->min_align);
  } else if (alignment_asks_for_something (&self->min_align)) {
    GST_WARNING_OBJECT (self, "no padding, since GstVideoMeta is not wanted");
  }
  if (alignment_asks_for_something (&align)) {
    /* The parent wants both to agree */
    for (i = 0; i < GST_VIDEO_MAX_PLANES; i++)
      self->params.align |= align.stride_align[i];
    gst_buffer_pool_config_add_option (config,
        GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT);
    gst_buffer_pool_config_set_video_alignment (config, &align);
  }

  gst_buffer_pool_config_set_allocator (config,
      GST_ALLOCATOR_CAST (self->allocator), &self->params);

  /* Not every version of the parent knows caps of DRM. Its user gets back what
   * it has set, so that gst_buffer_pool_config_validate_params() agrees. */
  gst_caps_ref (caps);
  if (caps_are_dma_drm (caps)) {
    GstCaps *plain = gst_video_info_to_caps (&info);

    gst_buffer_pool_config_set_params (config, plain, size, min_buffers,
        max_buffers);
    gst_caps_unref (plain);
  } else {
    gst_buffer_pool_config_set_params (config, caps, size, min_buffers,
        max_buffers);
  }
  ret = GST_BUFFER_POOL_CLASS (parent_class)->set_config (pool, config);
  gst_buffer_pool_config_get_params (config, NULL, &size, &min_buffers,
      &max_buffers);
  gst_buffer_pool_config_set_params (config, caps, size, min_buffers,
      max_buffers);
  gst_caps_unref (caps);
  if (!ret)
    return FALSE;

  /* As the parent has done it, which makes all strides of a frame agree */
  if (meta_wanted && gst_buffer_pool_config_has_option (config,
          GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT))
    gst_buffer_pool_config_get_video_alignment (config, &align);
  if (!gst_video_info_align_full (&info, &align, plane_size)) {
    GST_WARNING_OBJECT (self, "cannot align %" GST_PTR_FORMAT, caps);
    return FALSE;
  }
  info.size = size;
  self->info = info;
  self->align = align;

  if (!gst_dma_heap_pool_split (self, plane_size, size)) {
    GST_WARNING_OBJECT (self, "cannot split a frame of %u bytes", size);
    return FALSE;
  }
  GST_INFO_OBJECT (self, "frames of %u bytes in %u dma-bufs, strides %d %d %d %d",
      size, self->n_memory, info.stride[0], info.stride[1], info.stride[2],
      info.stride[3]);

  return TRUE;
}

static GstFlowReturn
gst_dma_heap_pool_alloc_buffer (GstBufferPool * pool, GstBuffer ** buffer,
    GstBufferPoolAcquireParams * params)
{
  GstDmaHeapPool *self = GST_DMA_HEAP_POOL (pool);
  GError *error = NULL;
  GstElement *owner;
  GstBuffer *buf;
  guint i;

  buf = gst_buffer_new ();
  for (i = 0; i < self->n_memory; i++) {
    GstMemory *mem;

    mem = gst_dma_heap_allocator_alloc (self->allocator, self->memory_size[i],
        &self->params, &error);
    if (mem == NULL)
      goto no_memory;
    gst_buffer_append_memory (buf, mem);
  }

  if (self->add_video_meta) {
    GstVideoMeta *meta;

    meta = gst_buffer_add_video_meta_full (buf, GST_VIDEO_FRAME_FLAG_NONE,
        GST_VIDEO_INFO_FORMAT (&self->info), GST_VIDEO_INFO_WIDTH (&self->info),
        GST_VIDEO_INFO_HEIGHT (&self->info),
        GST_VIDEO_INFO_N_PLANES (&self->info), self->info.offset,
        self->info.stride);
    if (alignment_asks_for_something (&self->align))
      gst_video_meta_set_alignment (meta, self->align);
  }

  *buffer = buf;
  return GST_FLOW_OK;

  /* ERRORS */
no_memory:
  {
    gst_buffer_unref (buf);
    GST_WARNING_OBJECT (self, "%s", error->message);
    /* Whoever has asked for the buffer says only that data stopped to flow */
    owner = g_weak_ref_get (&self->owner);
    if (owner != NULL) {
      gst_element_message_full (owner, GST_MESSAGE_ERROR, error->domain,
          error->code, g_strdup_printf ("%s.", error->message),
          g_strdup_printf ("Frames of %" G_GSIZE_FORMAT " bytes in %u dma-bufs",
              GST_VIDEO_INFO_SIZE (&self->info), self->n_memory), __FILE__,
          GST_FUNCTION, __LINE__);
      gst_object_unref (owner);
    }
    g_error_free (error);
    return GST_FLOW_ERROR;
  }
}

/* A dma-buf is writable when all fences in it are through */
static gboolean
no_fence_is_left (GstMemory * mem, gint timeout_ms)
{
  GPollFD poll_fd = { 0, };
  gint ret;

  poll_fd.fd = gst_dmabuf_memory_get_fd (mem);
  poll_fd.events = G_IO_OUT;
  do {
    ret = g_poll (&poll_fd, 1, timeout_ms);
  } while (ret < 0 && errno == EINTR);

  return ret != 0;
}

/* Whether the buffer can be handed out now, and if not, why */
static GstFlowReturn
gst_dma_heap_pool_wait (GstBufferPool * pool, GstMemory * mem, gboolean wait)
{
  gint waited;

  if (no_fence_is_left (mem, 0))
    return GST_FLOW_OK;
  if (!wait)
    return GST_FLOW_EOS;

  for (waited = 0; waited < FENCE_TIMEOUT_MS; waited += FENCE_SLICE_MS) {
    if (GST_BUFFER_POOL_IS_FLUSHING (pool))
      return GST_FLOW_FLUSHING;
    if (no_fence_is_left (mem, FENCE_SLICE_MS))
      return GST_FLOW_OK;
  }
  GST_WARNING_OBJECT (pool, "a device still uses %" GST_PTR_FORMAT, mem);

  return GST_FLOW_OK;
}

static GstFlowReturn
gst_dma_heap_pool_acquire_buffer (GstBufferPool * pool, GstBuffer ** buffer,
    GstBufferPoolAcquireParams * params)
{
  GstBufferPoolClass *klass = GST_BUFFER_POOL_CLASS (parent_class);
  gboolean wait = params == NULL ||
      !(params->flags & GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT);
  GstFlowReturn flow;
  guint i;

  flow = klass->acquire_buffer (pool, buffer, params);
  if (flow != GST_FLOW_OK)
    return flow;

  for (i = 0; i < gst_buffer_n_memory (*buffer); i++) {
    flow = gst_dma_heap_pool_wait (pool, gst_buffer_peek_memory (*buffer, i),
        wait);
    if (flow != GST_FLOW_OK) {
      klass->release_buffer (pool, *buffer);
      *buffer = NULL;
      return flow;
    }
  }

  return GST_FLOW_OK;
}

static void
gst_dma_heap_pool_finalize (GObject * object)
{
  GstDmaHeapPool *self = GST_DMA_HEAP_POOL (object);

  g_weak_ref_clear (&self->owner);
  gst_clear_object (&self->allocator);

  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
gst_dma_heap_pool_class_init (GstDmaHeapPoolClass * klass)
{
  GObjectClass *gobject_class = G_OBJECT_CLASS (klass);
  GstBufferPoolClass *pool_class = GST_BUFFER_POOL_CLASS (klass);

  gobject_class->finalize = gst_dma_heap_pool_finalize;

  pool_class->set_config = gst_dma_heap_pool_set_config;
  pool_class->alloc_buffer = gst_dma_heap_pool_alloc_buffer;
  pool_class->acquire_buffer = gst_dma_heap_pool_acquire_buffer;
}

static void
gst_dma_heap_pool_init (GstDmaHeapPool * self)
{
  g_weak_ref_init (&self->owner, NULL);
  gst_video_alignment_reset (&self->min_align);
}

/**
 * gst_dma_heap_pool_new:
 * @owner: (nullable): the element that posts errors; the pool may outlive it
 * @allocator: where buffers come from
 * @align: (nullable): padding and strides that buffers have at the least, where
 *    #GstVideoMeta tells of them
 * @memory_per_plane: whether each plane is a dma-buf of its own
 *
 * Returns: (transfer full): a new pool
 */
GstBufferPool *
gst_dma_heap_pool_new (GstElement * owner, GstDmaHeapAllocator * allocator,
    const GstVideoAlignment * align, gboolean memory_per_plane)
{
  GstDmaHeapPool *self;

  g_return_val_if_fail (GST_IS_DMA_HEAP_ALLOCATOR (allocator), NULL);

  self = g_object_new (GST_TYPE_DMA_HEAP_POOL, NULL);
  gst_object_ref_sink (self);

  g_weak_ref_set (&self->owner, owner);
  self->allocator = gst_object_ref (allocator);
  if (align != NULL)
    self->min_align = *align;
  self->memory_per_plane = memory_per_plane;

  return GST_BUFFER_POOL_CAST (self);
}
