/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GStreamer element that has frames put into memory of a dma-buf heap
 */

/**
 * SECTION:element-dmaheapalloc
 * @title: dmaheapalloc
 * @short_description: Has frames put into memory of a dma-buf heap
 *
 * Elements that import dma-bufs (kmssink, v4l2sink, V4L2 encoders) do not care
 * who has allocated these, and elements that produce frames take a buffer pool
 * from whoever offers one. Nobody in between opens a heap. This element does:
 * put before an importer, it answers the ALLOCATION query of what is upstream
 * with a pool of its heap. Frames then pass through untouched, and it never
 * copies one.
 *
 * V4L2 elements use such a pool only with `io-mode=dmabuf-import`,
 * `output-io-mode=dmabuf-import` or `capture-io-mode=dmabuf-import`.
 *
 * Padding, strides, sizes and numbers of buffers are what downstream asks for.
 * A pool that downstream proposes itself is passed on by default: it knows its
 * device best. kmssink proposes one of dumb buffers whenever it is asked, so
 * that #GstDmaHeapAlloc:downstream-pool is needed before it.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 v4l2src io-mode=dmabuf-import ! video/x-raw,format=NV12,width=1280,height=720 ! dmaheapalloc downstream-pool=replace ! kmssink
 * ]| Camera to display, without a copy.
 * |[
 * gst-launch-1.0 videotestsrc ! dmaheapalloc heap=/dev/dma_heap/rcar-uncached ! v4l2sink io-mode=dmabuf-import
 * ]| The CPU only writes here, which suits an uncached heap.
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstdmaheapalloc.h"
#include "gstdmaheappool.h"

GST_DEBUG_CATEGORY_STATIC (gst_dma_heap_alloc_debug);
#define GST_CAT_DEFAULT gst_dma_heap_alloc_debug

#define DEFAULT_DOWNSTREAM_POOL GST_DMA_HEAP_DOWNSTREAM_POOL_KEEP
#define DEFAULT_MEMORY_PER_PLANE FALSE
#define DEFAULT_STRIDE_ALIGN 1

enum
{
  PROP_0,
  PROP_HEAP,
  PROP_ALLOCATOR,
  PROP_DOWNSTREAM_POOL,
  PROP_MEMORY_PER_PLANE,
  PROP_STRIDE_ALIGN,
};

struct _GstDmaHeapAlloc
{
  GstBaseTransform parent;

  /* Object lock */
  gchar *heap;
  GstDmaHeapAllocator *allocator;
  GstDmaHeapDownstreamPool downstream_pool;
  gboolean memory_per_plane;
  guint stride_align;

  /* Streaming thread */
  gboolean said_that_unused;    /* posted once until the element stops */
  gboolean check_next_frame;    /* does it come from the heap? */
};

/* Whatever memory a heap can be behind. What is in GL, VA or CUDA memory is not
 * for it. */
#define DMA_HEAP_ALLOC_CAPS \
    "video/x-raw; " \
    "video/x-raw(memory:DMABuf); " \
    "video/x-raw(format:Interlaced); " \
    "video/x-raw(memory:DMABuf, format:Interlaced)"

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK,
    GST_PAD_ALWAYS,
    GST_STATIC_CAPS (DMA_HEAP_ALLOC_CAPS));

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC,
    GST_PAD_ALWAYS,
    GST_STATIC_CAPS (DMA_HEAP_ALLOC_CAPS));

#define gst_dma_heap_alloc_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE (GstDmaHeapAlloc, gst_dma_heap_alloc,
    GST_TYPE_BASE_TRANSFORM,
    GST_DEBUG_CATEGORY_INIT (gst_dma_heap_alloc_debug, "dmaheapalloc", 0,
        "dma-buf heap element"));
GST_ELEMENT_REGISTER_DEFINE (dmaheapalloc, "dmaheapalloc", GST_RANK_NONE,
    GST_TYPE_DMA_HEAP_ALLOC);

GType
gst_dma_heap_downstream_pool_get_type (void)
{
  static const GEnumValue values[] = {
    {GST_DMA_HEAP_DOWNSTREAM_POOL_KEEP,
        "Pass it on, the heap is not used then", "keep"},
    {GST_DMA_HEAP_DOWNSTREAM_POOL_REPLACE,
        "Offer a pool of the heap instead", "replace"},
    {0, NULL, NULL},
  };
  static gsize type = 0;

  if (g_once_init_enter (&type)) {
    GType new_type =
        g_enum_register_static ("GstDmaHeapDownstreamPool", values);
    g_once_init_leave (&type, new_type);
  }

  return type;
}

/* Returns a reference to the allocator of the heap that is set now, which is
 * opened when it is not yet. */
static GstDmaHeapAllocator *
gst_dma_heap_alloc_open (GstDmaHeapAlloc * self, GError ** error)
{
  GstDmaHeapAllocator *allocator = NULL;
  gchar *heap;

  GST_OBJECT_LOCK (self);
  heap = g_strdup (self->heap);
  if (self->allocator != NULL &&
      g_str_equal (gst_dma_heap_allocator_get_heap (self->allocator), heap))
    allocator = gst_object_ref (self->allocator);
  GST_OBJECT_UNLOCK (self);

  if (allocator == NULL) {
    allocator = (GstDmaHeapAllocator *) gst_dma_heap_allocator_new (heap,
        error);
    if (allocator != NULL) {
      GST_OBJECT_LOCK (self);
      gst_object_replace ((GstObject **) & self->allocator,
          GST_OBJECT_CAST (allocator));
      GST_OBJECT_UNLOCK (self);
    }
  }
  g_free (heap);

  return allocator;
}

static gboolean
gst_dma_heap_alloc_start (GstBaseTransform * trans)
{
  GstDmaHeapAlloc *self = GST_DMA_HEAP_ALLOC (trans);
  GstDmaHeapAllocator *allocator;
  GError *error = NULL;

  allocator = gst_dma_heap_alloc_open (self, &error);
  if (allocator == NULL) {
    GST_ELEMENT_ERROR (self, RESOURCE, OPEN_READ_WRITE, ("%s.",
            error->message), ("Heaps are in /dev/dma_heap, and only root may "
            "open them unless a rule of udev says otherwise"));
    g_error_free (error);
    return FALSE;
  }
  gst_object_unref (allocator);

  self->said_that_unused = FALSE;
  self->check_next_frame = TRUE;

  return TRUE;
}

static gboolean
gst_dma_heap_alloc_stop (GstBaseTransform * trans)
{
  GstDmaHeapAlloc *self = GST_DMA_HEAP_ALLOC (trans);
  GstDmaHeapAllocator *allocator;

  /* Buffers that are still about hold it open */
  GST_OBJECT_LOCK (self);
  allocator = self->allocator;
  self->allocator = NULL;
  GST_OBJECT_UNLOCK (self);

  if (allocator != NULL)
    gst_object_unref (allocator);

  return TRUE;
}

/* What downstream says about the layout of frames: with GstVideoMeta, or in the
 * configuration of the pool that it proposes. */
static void
gst_dma_heap_alloc_get_alignment (GstDmaHeapAlloc * self, GstQuery * query,
    GstBufferPool * downstream_pool, guint stride_align,
    GstVideoAlignment * align)
{
  GstVideoAlignment other;
  guint index, i;

  gst_video_alignment_reset (align);
  for (i = 0; i < GST_VIDEO_MAX_PLANES; i++)
    align->stride_align[i] = stride_align - 1;

  if (gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, &index)) {
    const GstStructure *wishes = NULL;

    gst_query_parse_nth_allocation_meta (query, index, &wishes);
    if (wishes != NULL) {
      GST_DEBUG_OBJECT (self, "downstream wants %" GST_PTR_FORMAT, wishes);
      gst_video_alignment_reset (&other);
      gst_structure_get_uint (wishes, "padding-top", &other.padding_top);
      gst_structure_get_uint (wishes, "padding-bottom", &other.padding_bottom);
      gst_structure_get_uint (wishes, "padding-left", &other.padding_left);
      gst_structure_get_uint (wishes, "padding-right", &other.padding_right);
      gst_structure_get_uint (wishes, "stride-align0", &other.stride_align[0]);
      gst_structure_get_uint (wishes, "stride-align1", &other.stride_align[1]);
      gst_structure_get_uint (wishes, "stride-align2", &other.stride_align[2]);
      gst_structure_get_uint (wishes, "stride-align3", &other.stride_align[3]);
      gst_dma_heap_alignment_merge (align, &other);
    }
  }

  if (downstream_pool != NULL) {
    GstStructure *config = gst_buffer_pool_get_config (downstream_pool);

    gst_video_alignment_reset (&other);
    if (gst_buffer_pool_config_has_option (config,
            GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT) &&
        gst_buffer_pool_config_get_video_alignment (config, &other))
      gst_dma_heap_alignment_merge (align, &other);
    gst_structure_free (config);
  }
}

/* Configured, so that it works for whoever only activates it, and so that the
 * size of frames with their padding can be told. */
static GstBufferPool *
gst_dma_heap_alloc_create_pool (GstDmaHeapAlloc * self, GstQuery * query,
    GstDmaHeapAllocator * allocator, const GstAllocationParams * params,
    const GstVideoAlignment * align, gboolean memory_per_plane, GstCaps * caps,
    guint * size, guint min_buffers, guint max_buffers)
{
  GstBufferPool *pool;
  GstStructure *config;

  pool = gst_dma_heap_pool_new (GST_ELEMENT_CAST (self), allocator, align,
      memory_per_plane);

  config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_set_params (config, caps, *size, min_buffers,
      max_buffers);
  gst_buffer_pool_config_set_allocator (config, GST_ALLOCATOR_CAST (allocator),
      params);
  if (gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL))
    gst_buffer_pool_config_add_option (config,
        GST_BUFFER_POOL_OPTION_VIDEO_META);
  if (!gst_buffer_pool_set_config (pool, config)) {
    GST_WARNING_OBJECT (self, "no pool for %" GST_PTR_FORMAT, caps);
    gst_object_unref (pool);
    return NULL;
  }

  config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_get_params (config, NULL, size, NULL, NULL);
  gst_structure_free (config);

  return pool;
}

static gboolean
gst_dma_heap_alloc_propose_allocation (GstBaseTransform * trans,
    GstQuery * decide_query, GstQuery * query)
{
  GstDmaHeapAlloc *self = GST_DMA_HEAP_ALLOC (trans);
  GstDmaHeapDownstreamPool policy;
  GstDmaHeapAllocator *allocator = NULL;
  GstBufferPool *downstream_pool = NULL, *pool;
  GstAllocationParams params;
  GstVideoAlignment align;
  GstVideoInfo info;
  GstCaps *caps;
  guint size = 0, min_buffers = 0, max_buffers = 0, stride_align;
  gboolean answered, need_pool, has_pools, memory_per_plane;

  /* Downstream speaks first. When it does not answer, it has no wishes. */
  answered = GST_BASE_TRANSFORM_CLASS (parent_class)->propose_allocation (trans,
      decide_query, query);

  gst_query_parse_allocation (query, &caps, &need_pool);
  if (caps == NULL || !gst_dma_heap_video_info_from_caps (&info, caps)) {
    GST_INFO_OBJECT (self, "a heap has nothing for %" GST_PTR_FORMAT, caps);
    self->check_next_frame = FALSE;
    return answered;
  }

  GST_OBJECT_LOCK (self);
  policy = self->downstream_pool;
  memory_per_plane = self->memory_per_plane;
  stride_align = self->stride_align;
  if (self->allocator != NULL)
    allocator = gst_object_ref (self->allocator);
  GST_OBJECT_UNLOCK (self);
  if (allocator == NULL)        /* not started */
    return answered;

  has_pools = gst_query_get_n_allocation_pools (query) > 0;
  if (has_pools)
    gst_query_parse_nth_allocation_pool (query, 0, &downstream_pool, &size,
        &min_buffers, &max_buffers);

  if (downstream_pool != NULL && policy == GST_DMA_HEAP_DOWNSTREAM_POOL_KEEP) {
    if (!self->said_that_unused) {
      self->said_that_unused = TRUE;
      GST_ELEMENT_INFO (self, RESOURCE, SETTINGS,
          ("Heap %s is not used.", gst_dma_heap_allocator_get_heap (allocator)),
          ("The element downstream proposes a pool of its own, %s; "
              "downstream-pool=replace overrules it",
              GST_OBJECT_NAME (downstream_pool)));
    }
    self->check_next_frame = FALSE;
    goto done;
  }

  gst_allocation_params_init (&params);
  if (gst_query_get_n_allocation_params (query) > 0) {
    gst_query_parse_nth_allocation_param (query, 0, NULL, &params);
    gst_query_set_nth_allocation_param (query, 0,
        GST_ALLOCATOR_CAST (allocator), &params);
  } else {
    gst_query_add_allocation_param (query, GST_ALLOCATOR_CAST (allocator),
        &params);
  }

  if (!need_pool)
    goto done;

  gst_dma_heap_alloc_get_alignment (self, query, downstream_pool, stride_align,
      &align);
  size = MAX (size, GST_VIDEO_INFO_SIZE (&info));
  pool = gst_dma_heap_alloc_create_pool (self, query, allocator, &params,
      &align, memory_per_plane, caps, &size, min_buffers, max_buffers);
  if (pool == NULL)
    goto done;

  if (has_pools)
    gst_query_set_nth_allocation_pool (query, 0, pool, size, min_buffers,
        max_buffers);
  else
    gst_query_add_allocation_pool (query, pool, size, min_buffers,
        max_buffers);
  gst_object_unref (pool);
  self->check_next_frame = TRUE;

  GST_DEBUG_OBJECT (self, "offered %" GST_PTR_FORMAT, query);

done:
  if (downstream_pool != NULL)
    gst_object_unref (downstream_pool);
  gst_object_unref (allocator);

  return TRUE;
}

/* A pool need not be asked for, nor taken when it is offered, and then
 * everything seems to work: what comes after just copies each frame. */
static void
gst_dma_heap_alloc_before_transform (GstBaseTransform * trans,
    GstBuffer * buffer)
{
  GstDmaHeapAlloc *self = GST_DMA_HEAP_ALLOC (trans);

  if (G_LIKELY (!self->check_next_frame) || gst_buffer_n_memory (buffer) == 0)
    return;

  self->check_next_frame = FALSE;
  if (gst_buffer_peek_memory (buffer, 0)->allocator !=
      GST_ALLOCATOR_CAST (self->allocator))
    GST_ELEMENT_WARNING (self, RESOURCE, SETTINGS,
        ("Frames do not come from heap %s.",
            gst_dma_heap_allocator_get_heap (self->allocator)),
        ("What is upstream asks for no pool, or does not use the one that it "
            "is offered; V4L2 elements do with io-mode=dmabuf-import, or "
            "capture-io-mode=dmabuf-import"));
}

static void
gst_dma_heap_alloc_set_property (GObject * object, guint prop_id,
    const GValue * value, GParamSpec * pspec)
{
  GstDmaHeapAlloc *self = GST_DMA_HEAP_ALLOC (object);

  GST_OBJECT_LOCK (self);
  switch (prop_id) {
    case PROP_HEAP:
      g_free (self->heap);
      self->heap = g_value_dup_string (value);
      if (self->heap == NULL)
        self->heap = g_strdup (GST_DMA_HEAP_DEFAULT_PATH);
      break;
    case PROP_DOWNSTREAM_POOL:
      self->downstream_pool = g_value_get_enum (value);
      break;
    case PROP_MEMORY_PER_PLANE:
      self->memory_per_plane = g_value_get_boolean (value);
      break;
    case PROP_STRIDE_ALIGN:
      self->stride_align = g_value_get_uint (value);
      if (self->stride_align & (self->stride_align - 1)) {
        g_warning ("stride-align is %u, which is no power of two",
            self->stride_align);
        self->stride_align = DEFAULT_STRIDE_ALIGN;
      }
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_dma_heap_alloc_get_property (GObject * object, guint prop_id,
    GValue * value, GParamSpec * pspec)
{
  GstDmaHeapAlloc *self = GST_DMA_HEAP_ALLOC (object);

  if (prop_id == PROP_ALLOCATOR) {
    GError *error = NULL;

    g_value_take_object (value, gst_dma_heap_alloc_open (self, &error));
    if (error != NULL) {
      GST_INFO_OBJECT (self, "no allocator: %s", error->message);
      g_error_free (error);
    }
    return;
  }

  GST_OBJECT_LOCK (self);
  switch (prop_id) {
    case PROP_HEAP:
      g_value_set_string (value, self->heap);
      break;
    case PROP_DOWNSTREAM_POOL:
      g_value_set_enum (value, self->downstream_pool);
      break;
    case PROP_MEMORY_PER_PLANE:
      g_value_set_boolean (value, self->memory_per_plane);
      break;
    case PROP_STRIDE_ALIGN:
      g_value_set_uint (value, self->stride_align);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_dma_heap_alloc_finalize (GObject * object)
{
  GstDmaHeapAlloc *self = GST_DMA_HEAP_ALLOC (object);

  gst_clear_object (&self->allocator);
  g_free (self->heap);

  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
gst_dma_heap_alloc_class_init (GstDmaHeapAllocClass * klass)
{
  GObjectClass *gobject_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *trans_class = GST_BASE_TRANSFORM_CLASS (klass);

  gobject_class->set_property = gst_dma_heap_alloc_set_property;
  gobject_class->get_property = gst_dma_heap_alloc_get_property;
  gobject_class->finalize = gst_dma_heap_alloc_finalize;

  /**
   * GstDmaHeapAlloc:heap:
   *
   * The path of the heap's device. It is opened when the element goes from
   * READY to PAUSED, which fails with an error that names the path when it
   * cannot be.
   */
  g_object_class_install_property (gobject_class, PROP_HEAP,
      g_param_spec_string ("heap", "Heap",
          "Path of the heap's device", GST_DMA_HEAP_DEFAULT_PATH,
          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
          GST_PARAM_MUTABLE_READY));

  /**
   * GstDmaHeapAlloc:allocator:
   *
   * The heap's allocator, for applications that put frames of their own into
   * such memory: with gst_buffer_new_allocate(), or a #GstVideoBufferPool. The
   * heap is opened when it is not yet. %NULL when it cannot be.
   */
  g_object_class_install_property (gobject_class, PROP_ALLOCATOR,
      g_param_spec_object ("allocator", "Allocator",
          "The heap's allocator, for applications that fill buffers themselves",
          GST_TYPE_ALLOCATOR, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));

  /**
   * GstDmaHeapAlloc:downstream-pool:
   *
   * What becomes of a buffer pool that the element downstream proposes. When it
   * is replaced, its numbers, sizes and padding still count.
   */
  g_object_class_install_property (gobject_class, PROP_DOWNSTREAM_POOL,
      g_param_spec_enum ("downstream-pool", "Downstream pool",
          "What becomes of a pool that the element downstream proposes",
          GST_TYPE_DMA_HEAP_DOWNSTREAM_POOL, DEFAULT_DOWNSTREAM_POOL,
          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
          GST_PARAM_MUTABLE_READY));

  /**
   * GstDmaHeapAlloc:memory-per-plane:
   *
   * Makes each plane of a frame a dma-buf of its own. V4L2 devices whose
   * formats have several memory planes, like NV12M, import nothing else; those
   * with formats like NV12 import only the contrary.
   */
  g_object_class_install_property (gobject_class, PROP_MEMORY_PER_PLANE,
      g_param_spec_boolean ("memory-per-plane", "Memory per plane",
          "Make each plane of a frame a dma-buf of its own, as V4L2 devices "
          "with formats like NV12M need it", DEFAULT_MEMORY_PER_PLANE,
          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
          GST_PARAM_MUTABLE_READY));

  /**
   * GstDmaHeapAlloc:stride-align:
   *
   * Strides are a multiple of this, for devices upstream, which have no way to
   * tell what they need. It has no effect when downstream does not take
   * #GstVideoMeta.
   */
  g_object_class_install_property (gobject_class, PROP_STRIDE_ALIGN,
      g_param_spec_uint ("stride-align", "Stride alignment",
          "Strides are a multiple of this many bytes, a power of two", 1, 4096,
          DEFAULT_STRIDE_ALIGN,
          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
          GST_PARAM_MUTABLE_READY));

  gst_element_class_set_static_metadata (element_class,
      "DMA-BUF heap allocator", "Filter/Video",
      "Offers memory of a Linux dma-buf heap to the element upstream",
      "The R-Car CMA heap project");
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_type_mark_as_plugin_api (GST_TYPE_DMA_HEAP_DOWNSTREAM_POOL, 0);

  /* No transform functions: GstBaseTransform passes everything through */
  trans_class->start = gst_dma_heap_alloc_start;
  trans_class->stop = gst_dma_heap_alloc_stop;
  trans_class->propose_allocation = gst_dma_heap_alloc_propose_allocation;
  trans_class->before_transform = gst_dma_heap_alloc_before_transform;
}

static void
gst_dma_heap_alloc_init (GstDmaHeapAlloc * self)
{
  self->heap = g_strdup (GST_DMA_HEAP_DEFAULT_PATH);
  self->downstream_pool = DEFAULT_DOWNSTREAM_POOL;
  self->memory_per_plane = DEFAULT_MEMORY_PER_PLANE;
  self->stride_align = DEFAULT_STRIDE_ALIGN;
}
