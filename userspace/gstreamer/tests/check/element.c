/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the element dmaheapalloc and of the pool that it offers
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "heap.h"

#include <string.h>

#include <gst/allocators/gstdmabuf.h>
#include <gst/video/video.h>
#include <gst/video/gstvideopool.h>

#define WIDTH 320
#define HEIGHT 240
#define SIZE_420 (WIDTH * HEIGHT * 3 / 2)
#define GEOMETRY "width=320, height=240, framerate=30/1"
#define NV12_CAPS "video/x-raw, format=NV12, " GEOMETRY

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

/* What the element downstream answers to an ALLOCATION query; each test runs in
 * a process of its own, so that all begin with nothing. */
static struct
{
  gboolean answers;
  gboolean video_meta;
  GstStructure *video_meta_params;
  GstAllocator *allocator;
  guint align;
  GstBufferPool *pool;
  gboolean sizes;
  guint size, min_buffers, max_buffers;
} downstream;

static GstElement *element;
static GstBus *bus;
static GstPad *my_src_pad, *my_sink_pad;

static gboolean
sink_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  if (GST_QUERY_TYPE (query) != GST_QUERY_ALLOCATION)
    return gst_pad_query_default (pad, parent, query);

  if (!downstream.answers)
    return FALSE;

  if (downstream.video_meta)
    gst_query_add_allocation_meta (query, GST_VIDEO_META_API_TYPE,
        downstream.video_meta_params);
  if (downstream.allocator != NULL || downstream.align != 0) {
    GstAllocationParams params;

    gst_allocation_params_init (&params);
    params.align = downstream.align;
    gst_query_add_allocation_param (query, downstream.allocator, &params);
  }
  if (downstream.pool != NULL || downstream.sizes)
    gst_query_add_allocation_pool (query, downstream.pool, downstream.size,
        downstream.min_buffers, downstream.max_buffers);

  return TRUE;
}

static void
setup (void)
{
  element = gst_check_setup_element ("dmaheapalloc");
  g_object_set (element, "heap", heap_path (), NULL);
  bus = gst_bus_new ();
  gst_element_set_bus (element, bus);

  my_src_pad = gst_check_setup_src_pad (element, &src_template);
  my_sink_pad = gst_check_setup_sink_pad (element, &sink_template);
  gst_pad_set_query_function (my_sink_pad, sink_query);
  gst_pad_set_active (my_src_pad, TRUE);
  gst_pad_set_active (my_sink_pad, TRUE);

  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_PLAYING),
      GST_STATE_CHANGE_SUCCESS);
}

static void
teardown (void)
{
  gst_check_drop_buffers ();
  gst_element_set_bus (element, NULL);
  gst_bus_set_flushing (bus, TRUE);
  gst_object_unref (bus);

  gst_pad_set_active (my_src_pad, FALSE);
  gst_pad_set_active (my_sink_pad, FALSE);
  gst_check_teardown_src_pad (element);
  gst_check_teardown_sink_pad (element);
  gst_check_teardown_element (element);
}

static void
send_caps (const gchar * description)
{
  GstCaps *caps = gst_caps_from_string (description);

  fail_unless (caps != NULL, "%s", description);
  gst_check_setup_events (my_src_pad, element, caps, GST_FORMAT_TIME);
  gst_caps_unref (caps);
}

static GstQuery *
query_allocation (const gchar * description)
{
  GstCaps *caps;
  GstQuery *query;

  send_caps (description);
  caps = gst_caps_from_string (description);
  query = gst_query_new_allocation (caps, TRUE);
  gst_caps_unref (caps);
  fail_unless (gst_pad_peer_query (my_src_pad, query));

  return query;
}

static gboolean
is_of_the_heap (GstMemory * mem)
{
  return g_str_equal (G_OBJECT_TYPE_NAME (mem->allocator),
      "GstDmaHeapAllocator") && gst_is_dmabuf_memory (mem);
}

/* Takes the pool as an element upstream does: sets what it knows and
 * activates */
static GstBufferPool *
take_pool (GstQuery * query)
{
  GstAllocator *allocator = NULL;
  GstAllocationParams params;
  GstBufferPool *pool;
  GstStructure *config;
  GstCaps *caps;
  guint size, min_buffers, max_buffers;

  gst_query_parse_allocation (query, &caps, NULL);
  fail_unless_equals_int (gst_query_get_n_allocation_pools (query), 1);
  gst_query_parse_nth_allocation_pool (query, 0, &pool, &size, &min_buffers,
      &max_buffers);
  fail_unless (pool != NULL);
  fail_unless (gst_query_get_n_allocation_params (query) > 0);
  gst_query_parse_nth_allocation_param (query, 0, &allocator, &params);
  fail_unless (allocator != NULL);

  config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_set_params (config, caps, size, min_buffers,
      max_buffers);
  gst_buffer_pool_config_set_allocator (config, allocator, &params);
  if (gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL))
    gst_buffer_pool_config_add_option (config,
        GST_BUFFER_POOL_OPTION_VIDEO_META);
  fail_unless (gst_buffer_pool_set_config (pool, config));
  gst_object_unref (allocator);

  fail_unless (gst_buffer_pool_set_active (pool, TRUE));

  return pool;
}

static void
leave_pool (GstBufferPool * pool)
{
  fail_unless (gst_buffer_pool_set_active (pool, FALSE));
  gst_object_unref (pool);
}

static GstBuffer *
acquire (GstBufferPool * pool)
{
  GstBuffer *buffer = NULL;

  fail_unless_equals_int (gst_buffer_pool_acquire_buffer (pool, &buffer, NULL),
      GST_FLOW_OK);

  return buffer;
}

/* Writes each plane through a frame and reads it back */
static void
check_frame (GstBuffer * buffer, const gchar * description)
{
  GstCaps *caps = gst_caps_from_string (description);
  GstVideoFrame frame;
  GstVideoInfo info;
  guint plane, line, n_lines;

  fail_unless (gst_video_info_from_caps (&info, caps));
  gst_caps_unref (caps);

  fail_unless (gst_video_frame_map (&frame, &info, buffer, GST_MAP_WRITE));
  for (plane = 0; plane < GST_VIDEO_FRAME_N_PLANES (&frame); plane++) {
    guint8 *data = GST_VIDEO_FRAME_PLANE_DATA (&frame, plane);
    gint stride = GST_VIDEO_FRAME_PLANE_STRIDE (&frame, plane);

    n_lines = GST_VIDEO_FRAME_COMP_HEIGHT (&frame, plane);
    for (line = 0; line < n_lines; line++)
      memset (data + line * stride, plane + line, stride);
  }
  gst_video_frame_unmap (&frame);

  fail_unless (gst_video_frame_map (&frame, &info, buffer, GST_MAP_READ));
  for (plane = 0; plane < GST_VIDEO_FRAME_N_PLANES (&frame); plane++) {
    guint8 *data = GST_VIDEO_FRAME_PLANE_DATA (&frame, plane);
    gint stride = GST_VIDEO_FRAME_PLANE_STRIDE (&frame, plane);

    n_lines = GST_VIDEO_FRAME_COMP_HEIGHT (&frame, plane);
    for (line = 0; line < n_lines; line++) {
      fail_unless_equals_int (data[line * stride], (guint8) (plane + line));
      fail_unless_equals_int (data[line * stride + stride - 1],
          (guint8) (plane + line));
    }
  }
  gst_video_frame_unmap (&frame);
}

/* Frames are not of the heap, which is said once */
static void
expect_warning (void)
{
  GstMessage *message = gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING);
  GError *error = NULL;

  fail_unless (message != NULL);
  gst_message_parse_warning (message, &error, NULL);
  fail_unless (strstr (error->message, heap_path ()) != NULL, "%s",
      error->message);
  g_clear_error (&error);
  gst_message_unref (message);
  fail_unless (gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING) == NULL);
}

/* ---- passing through ---- */

GST_START_TEST (test_passthrough)
{
  GstBuffer *buffer;
  GstCaps *caps, *sent;

  send_caps (NV12_CAPS);
  buffer = gst_buffer_new_allocate (NULL, SIZE_420, NULL);
  fail_unless_equals_int (gst_pad_push (my_src_pad, buffer), GST_FLOW_OK);
  fail_unless_equals_int (g_list_length (buffers), 1);
  fail_unless (buffers->data == buffer, "the buffer has been replaced");

  caps = gst_pad_get_current_caps (my_sink_pad);
  sent = gst_pad_get_current_caps (my_src_pad);
  fail_unless (gst_caps_is_equal (caps, sent));
  gst_caps_unref (caps);
  gst_caps_unref (sent);

  /* Which is not of the heap, although nobody has asked for a pool */
  expect_warning ();
}

GST_END_TEST;

GST_START_TEST (test_caps)
{
  static const gchar *const accepted[] = {
    NV12_CAPS,
    "video/x-raw, format=I420, " GEOMETRY,
    "video/x-raw, format=BGRx, " GEOMETRY,
    "video/x-raw(memory:DMABuf), format=NV12, " GEOMETRY,
    "video/x-raw(memory:DMABuf), format=DMA_DRM, drm-format=NV12, " GEOMETRY,
    "video/x-raw(format:Interlaced), format=NV12, interlace-mode=alternate, "
        GEOMETRY,
  };
  static const gchar *const refused[] = {
    ("video/x-raw(memory:GLMemory), format=NV12, " GEOMETRY),
    "video/x-h264",
    "audio/x-raw",
  };
  GstCaps *caps;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (accepted); i++) {
    caps = gst_caps_from_string (accepted[i]);
    fail_unless (gst_pad_peer_query_accept_caps (my_src_pad, caps), "%s",
        accepted[i]);
    gst_caps_unref (caps);
  }
  for (i = 0; i < G_N_ELEMENTS (refused); i++) {
    caps = gst_caps_from_string (refused[i]);
    fail_if (gst_pad_peer_query_accept_caps (my_src_pad, caps), "%s",
        refused[i]);
    gst_caps_unref (caps);
  }
}

GST_END_TEST;

/* ---- the pool that is offered ---- */

GST_START_TEST (test_no_answer_downstream)
{
  GstQuery *query = query_allocation (NV12_CAPS);
  GstBufferPool *pool = take_pool (query);
  GstBuffer *buffer = acquire (pool);

  fail_unless_equals_int (gst_buffer_n_memory (buffer), 1);
  fail_unless (is_of_the_heap (gst_buffer_peek_memory (buffer, 0)));
  fail_unless_equals_int (gst_buffer_get_size (buffer), SIZE_420);
  /* Nobody has said that it would be understood */
  fail_unless (gst_buffer_get_video_meta (buffer) == NULL);
  check_frame (buffer, NV12_CAPS);

  gst_buffer_unref (buffer);
  leave_pool (pool);
  gst_query_unref (query);
}

GST_END_TEST;

GST_START_TEST (test_formats)
{
  static const gchar *const formats[] = {
    "NV12", "NV16", "I420", "YV12", "Y42B", "YUY2", "UYVY", "RGB16", "BGRx",
    "P010_10LE", "GRAY8",
  };
  guint i;

  downstream.answers = downstream.video_meta = TRUE;
  for (i = 0; i < G_N_ELEMENTS (formats); i++) {
    gchar *caps = g_strdup_printf ("video/x-raw, format=%s, " GEOMETRY,
        formats[i]);
    GstQuery *query = query_allocation (caps);
    GstBufferPool *pool = take_pool (query);
    GstBuffer *buffer = acquire (pool);

    fail_unless_equals_int (gst_buffer_n_memory (buffer), 1);
    fail_unless (is_of_the_heap (gst_buffer_peek_memory (buffer, 0)));
    fail_unless (gst_buffer_get_video_meta (buffer) != NULL);
    check_frame (buffer, caps);

    gst_buffer_unref (buffer);
    leave_pool (pool);
    gst_query_unref (query);
    g_free (caps);
  }
}

GST_END_TEST;

GST_START_TEST (test_numbers_of_downstream)
{
  GstQuery *query;
  GstBufferPool *pool;
  GstBuffer *taken[3] = { NULL, };
  GstBufferPoolAcquireParams params = { 0, };
  guint size, min_buffers, max_buffers, i;

  downstream.answers = downstream.video_meta = downstream.sizes = TRUE;
  downstream.size = SIZE_420 + 4096;
  downstream.min_buffers = 2;
  downstream.max_buffers = 3;

  query = query_allocation (NV12_CAPS);
  gst_query_parse_nth_allocation_pool (query, 0, NULL, &size, &min_buffers,
      &max_buffers);
  fail_unless_equals_int (size, SIZE_420 + 4096);
  fail_unless_equals_int (min_buffers, 2);
  fail_unless_equals_int (max_buffers, 3);

  pool = take_pool (query);
  for (i = 0; i < G_N_ELEMENTS (taken); i++) {
    taken[i] = acquire (pool);
    fail_unless_equals_int (gst_buffer_get_size (taken[i]), SIZE_420 + 4096);
  }
  params.flags = GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT;
  {
    GstBuffer *more = NULL;

    fail_unless_equals_int (gst_buffer_pool_acquire_buffer (pool, &more,
            &params), GST_FLOW_EOS);
  }
  for (i = 0; i < G_N_ELEMENTS (taken); i++)
    gst_buffer_unref (taken[i]);

  leave_pool (pool);
  gst_query_unref (query);
}

GST_END_TEST;

/* A buffer that comes back is handed out again, not allocated anew */
GST_START_TEST (test_recycling)
{
  GstQuery *query;
  GstBufferPool *pool;
  GstBuffer *buffer;
  gint fd, i;

  downstream.answers = downstream.video_meta = downstream.sizes = TRUE;
  downstream.max_buffers = 1;
  g_object_set (element, "memory-per-plane", TRUE, NULL);

  query = query_allocation (NV12_CAPS);
  pool = take_pool (query);
  buffer = acquire (pool);
  fd = gst_dmabuf_memory_get_fd (gst_buffer_peek_memory (buffer, 0));
  gst_buffer_unref (buffer);
  for (i = 0; i < 3; i++) {
    buffer = acquire (pool);
    fail_unless_equals_int (gst_dmabuf_memory_get_fd (gst_buffer_peek_memory
            (buffer, 0)), fd);
    fail_unless_equals_int (gst_buffer_get_size (buffer), SIZE_420);
    check_frame (buffer, NV12_CAPS);
    gst_buffer_unref (buffer);
  }
  if (fake_heap () != NULL)
    fail_unless_equals_int (fake_heap ()->allocs, 1 /* main () */  + 2);

  leave_pool (pool);
  gst_query_unref (query);
}

GST_END_TEST;

/* ---- padding and strides ---- */

GST_START_TEST (test_padding)
{
  GstQuery *query;
  GstBufferPool *pool;
  GstBuffer *buffer;
  GstVideoMeta *meta;
  guint size;

  downstream.answers = downstream.video_meta = TRUE;
  downstream.video_meta_params = gst_structure_new ("video-meta",
      "padding-bottom", G_TYPE_UINT, 16, "padding-right", G_TYPE_UINT, 64,
      NULL);

  query = query_allocation (NV12_CAPS);
  gst_query_parse_nth_allocation_pool (query, 0, NULL, &size, NULL, NULL);
  fail_unless_equals_int (size, (WIDTH + 64) * (HEIGHT + 16) * 3 / 2);

  pool = take_pool (query);
  buffer = acquire (pool);
  meta = gst_buffer_get_video_meta (buffer);
  fail_unless (meta != NULL);
  fail_unless_equals_int (meta->width, WIDTH);
  fail_unless_equals_int (meta->height, HEIGHT);
  fail_unless_equals_int (meta->stride[0], WIDTH + 64);
  fail_unless_equals_int (meta->stride[1], WIDTH + 64);
  fail_unless_equals_int (meta->offset[0], 0);
  fail_unless_equals_int (meta->offset[1], (WIDTH + 64) * (HEIGHT + 16));
  fail_unless_equals_int (meta->alignment.padding_bottom, 16);
  fail_unless_equals_int (gst_buffer_get_size (buffer), size);
  check_frame (buffer, NV12_CAPS);

  gst_buffer_unref (buffer);
  leave_pool (pool);
  gst_query_unref (query);
  gst_structure_free (downstream.video_meta_params);
}

GST_END_TEST;

static void
check_padding_of_both (const GstVideoAlignment * theirs,
    const GstVideoAlignment * ours)
{
  GstVideoAlignment align = *ours;
  GstStructure *config;
  GstBufferPool *pool;
  GstBuffer *buffer;
  GstVideoMeta *meta;
  GstQuery *query;
  GstCaps *caps;

  downstream.video_meta_params = gst_structure_new ("video-meta",
      "padding-top", G_TYPE_UINT, theirs->padding_top,
      "padding-bottom", G_TYPE_UINT, theirs->padding_bottom,
      "padding-left", G_TYPE_UINT, theirs->padding_left,
      "padding-right", G_TYPE_UINT, theirs->padding_right, NULL);

  query = query_allocation (NV12_CAPS);
  gst_query_parse_allocation (query, &caps, NULL);
  gst_query_parse_nth_allocation_pool (query, 0, &pool, NULL, NULL, NULL);

  config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_set_params (config, caps, SIZE_420, 1, 0);
  gst_buffer_pool_config_add_option (config,
      GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT);
  gst_buffer_pool_config_set_video_alignment (config, &align);
  fail_unless (gst_buffer_pool_set_config (pool, config));
  fail_unless (gst_buffer_pool_set_active (pool, TRUE));

  buffer = acquire (pool);
  meta = gst_buffer_get_video_meta (buffer);
  align = meta->alignment;
  fail_unless_equals_int (align.padding_top,
      MAX (theirs->padding_top, ours->padding_top));
  fail_unless_equals_int (align.padding_bottom,
      MAX (theirs->padding_bottom, ours->padding_bottom));
  fail_unless_equals_int (align.padding_left,
      MAX (theirs->padding_left, ours->padding_left));
  fail_unless_equals_int (align.padding_right,
      MAX (theirs->padding_right, ours->padding_right));
  fail_unless_equals_int (meta->stride[0],
      align.padding_left + WIDTH + align.padding_right);
  fail_unless_equals_int (meta->offset[0],
      meta->stride[0] * align.padding_top + align.padding_left);
  fail_unless_equals_int (gst_buffer_get_size (buffer), meta->stride[0] *
      (align.padding_top + HEIGHT + align.padding_bottom) * 3 / 2);
  check_frame (buffer, NV12_CAPS);

  gst_buffer_unref (buffer);
  leave_pool (pool);
  gst_query_unref (query);
  gst_structure_free (downstream.video_meta_params);
}

/* An element upstream that wants padding of its own takes none away */
GST_START_TEST (test_padding_of_both)
{
  const GstVideoAlignment a = { 4, 16, 32, 64, {0,} };
  const GstVideoAlignment b = { 8, 2, 64, 32, {0,} };

  downstream.answers = downstream.video_meta = TRUE;
  check_padding_of_both (&a, &b);
  check_padding_of_both (&b, &a);
}

GST_END_TEST;

GST_START_TEST (test_stride_align)
{
  GstQuery *query;
  GstBufferPool *pool;
  GstBuffer *buffer;
  GstVideoMeta *meta;
  guint i;

  downstream.answers = downstream.video_meta = TRUE;
  g_object_set (element, "stride-align", 256, NULL);

  query = query_allocation ("video/x-raw, format=I420, " GEOMETRY);
  pool = take_pool (query);
  buffer = acquire (pool);
  fail_unless_equals_int (gst_buffer_peek_memory (buffer, 0)->align, 255);
  meta = gst_buffer_get_video_meta (buffer);
  for (i = 0; i < 3; i++)
    fail_unless_equals_int (meta->stride[i] % 256, 0);
  check_frame (buffer, "video/x-raw, format=I420, " GEOMETRY);

  gst_buffer_unref (buffer);
  leave_pool (pool);
  gst_query_unref (query);
}

GST_END_TEST;

/* Nobody would know of the strides */
GST_START_TEST (test_stride_align_without_meta)
{
  GstQuery *query;
  GstBufferPool *pool;
  GstBuffer *buffer;

  downstream.answers = TRUE;
  g_object_set (element, "stride-align", 256, NULL);

  query = query_allocation (NV12_CAPS);
  pool = take_pool (query);
  buffer = acquire (pool);
  fail_unless (gst_buffer_get_video_meta (buffer) == NULL);
  fail_unless_equals_int (gst_buffer_get_size (buffer), SIZE_420);
  check_frame (buffer, NV12_CAPS);

  gst_buffer_unref (buffer);
  leave_pool (pool);
  gst_query_unref (query);
}

GST_END_TEST;

/* Each plane's wish, a mask as in GstVideoAlignment */
GST_START_TEST (test_stride_of_downstream)
{
  const gchar *caps = "video/x-raw, format=A420, " GEOMETRY;
  guint i;

  downstream.answers = downstream.video_meta = TRUE;
  for (i = 0; i < 4; i++) {
    gchar *field = g_strdup_printf ("stride-align%u", i);
    GstQuery *query;
    GstBufferPool *pool;
    GstBuffer *buffer;
    GstVideoMeta *meta;

    downstream.video_meta_params = gst_structure_new ("video-meta",
        field, G_TYPE_UINT, 127, NULL);
    query = query_allocation (caps);
    pool = take_pool (query);
    buffer = acquire (pool);
    meta = gst_buffer_get_video_meta (buffer);
    fail_unless_equals_int (meta->stride[i] % 128, 0);
    check_frame (buffer, caps);

    gst_buffer_unref (buffer);
    leave_pool (pool);
    gst_query_unref (query);
    gst_structure_free (downstream.video_meta_params);
    g_free (field);
  }
}

GST_END_TEST;

GST_START_TEST (test_params_of_downstream)
{
  GstAllocationParams params;
  GstAllocator *allocator;
  GstBufferPool *pool;
  GstQuery *query;

  downstream.answers = TRUE;
  downstream.align = 31;

  query = query_allocation (NV12_CAPS);
  fail_unless_equals_int (gst_query_get_n_allocation_params (query), 1);
  gst_query_parse_nth_allocation_param (query, 0, &allocator, &params);
  fail_unless (allocator != NULL);
  fail_unless_equals_string (G_OBJECT_TYPE_NAME (allocator),
      "GstDmaHeapAllocator");
  fail_unless_equals_int (params.align, 31);
  gst_object_unref (allocator);

  pool = take_pool (query);
  leave_pool (pool);
  gst_query_unref (query);
}

GST_END_TEST;

/* An element upstream with a pool of its own may still want our memory */
GST_START_TEST (test_no_pool_wanted)
{
  GstAllocator *allocator;
  GstCaps *caps;
  GstQuery *query;

  send_caps (NV12_CAPS);
  caps = gst_caps_from_string (NV12_CAPS);
  query = gst_query_new_allocation (caps, FALSE);
  gst_caps_unref (caps);
  fail_unless (gst_pad_peer_query (my_src_pad, query));

  fail_unless_equals_int (gst_query_get_n_allocation_pools (query), 0);
  fail_unless_equals_int (gst_query_get_n_allocation_params (query), 1);
  gst_query_parse_nth_allocation_param (query, 0, &allocator, NULL);
  fail_unless_equals_string (G_OBJECT_TYPE_NAME (allocator),
      "GstDmaHeapAllocator");
  gst_object_unref (allocator);
  gst_query_unref (query);
}

GST_END_TEST;

/* ---- planes in dma-bufs of their own ---- */

static void
check_memory_per_plane (const gchar * description, guint n_planes,
    const gsize * plane_size)
{
  GstQuery *query = query_allocation (description);
  GstBufferPool *pool = take_pool (query);
  GstBuffer *buffer = acquire (pool);
  guint i, j;

  fail_unless_equals_int (gst_buffer_n_memory (buffer), n_planes);
  for (i = 0; i < n_planes; i++) {
    GstMemory *mem = gst_buffer_peek_memory (buffer, i);

    fail_unless (is_of_the_heap (mem));
    fail_unless_equals_int (mem->offset, 0);
    fail_unless_equals_int (mem->size, plane_size[i]);
    for (j = 0; j < i; j++)
      fail_if (gst_dmabuf_memory_get_fd (mem) ==
          gst_dmabuf_memory_get_fd (gst_buffer_peek_memory (buffer, j)));
  }
  check_frame (buffer, description);
  /* What the CPU has painted in is still what devices are given */
  fail_unless_equals_int (gst_buffer_n_memory (buffer), n_planes);
  for (i = 0; i < n_planes; i++)
    fail_unless (is_of_the_heap (gst_buffer_peek_memory (buffer, i)));

  gst_buffer_unref (buffer);
  leave_pool (pool);
  gst_query_unref (query);
}

GST_START_TEST (test_memory_per_plane)
{
  const gsize y = WIDTH * HEIGHT;
  const gsize nv12[] = { y, y / 2 };
  const gsize i420[] = { y, y / 4, y / 4 };
  const gsize nv16[] = { y, y };
  const gsize yuy2[] = { 2 * y };

  downstream.answers = downstream.video_meta = TRUE;
  g_object_set (element, "memory-per-plane", TRUE, NULL);

  check_memory_per_plane (NV12_CAPS, 2, nv12);
  check_memory_per_plane ("video/x-raw, format=I420, " GEOMETRY, 3, i420);
  check_memory_per_plane ("video/x-raw, format=NV16, " GEOMETRY, 2, nv16);
  check_memory_per_plane ("video/x-raw, format=YUY2, " GEOMETRY, 1, yuy2);
}

GST_END_TEST;

/* Downstream does not know of GstVideoMeta, but whoever maps a frame does */
GST_START_TEST (test_memory_per_plane_without_meta)
{
  const gsize y = WIDTH * HEIGHT;
  const gsize nv12[] = { y, y / 2 };

  downstream.answers = TRUE;
  g_object_set (element, "stride-align", 256, "memory-per-plane", TRUE, NULL);

  check_memory_per_plane (NV12_CAPS, 2, nv12);
}

GST_END_TEST;

GST_START_TEST (test_memory_per_plane_with_padding)
{
  const gsize y = WIDTH * (HEIGHT + 16);
  const gsize nv12[] = { y, y / 2 };

  downstream.answers = downstream.video_meta = TRUE;
  downstream.video_meta_params = gst_structure_new ("video-meta",
      "padding-top", G_TYPE_UINT, 4, "padding-bottom", G_TYPE_UINT, 12, NULL);
  g_object_set (element, "memory-per-plane", TRUE, NULL);

  check_memory_per_plane (NV12_CAPS, 2, nv12);

  gst_structure_free (downstream.video_meta_params);
}

GST_END_TEST;

/* A field in each buffer, half of a frame */
GST_START_TEST (test_fields)
{
  const gsize y = WIDTH * HEIGHT / 2;
  const gsize nv12[] = { y, y / 2 };

  downstream.answers = downstream.video_meta = TRUE;
  g_object_set (element, "memory-per-plane", TRUE, NULL);

  check_memory_per_plane ("video/x-raw(format:Interlaced), format=NV12, "
      "interlace-mode=alternate, " GEOMETRY, 2, nv12);
}

GST_END_TEST;

/* ---- memory:DMABuf ---- */

GST_START_TEST (test_dmabuf_feature)
{
  GstQuery *query;
  GstBufferPool *pool;
  GstBuffer *buffer;

  query = query_allocation ("video/x-raw(memory:DMABuf), format=NV12, "
      GEOMETRY);
  pool = take_pool (query);
  buffer = acquire (pool);
  /* Implied by the feature */
  fail_unless (gst_buffer_get_video_meta (buffer) != NULL);
  check_frame (buffer, NV12_CAPS);

  gst_buffer_unref (buffer);
  leave_pool (pool);
  gst_query_unref (query);
}

GST_END_TEST;

#if GST_CHECK_VERSION (1, 24, 0)
GST_START_TEST (test_dma_drm)
{
  GstStructure *config;
  GstQuery *query;
  GstBufferPool *pool;
  GstBuffer *buffer;
  GstVideoMeta *meta;
  GstCaps *caps, *pool_caps;

  query = query_allocation ("video/x-raw(memory:DMABuf), format=DMA_DRM, "
      "drm-format=NV12, " GEOMETRY);
  pool = take_pool (query);

  /* Its user finds the caps again that it has set */
  gst_query_parse_allocation (query, &caps, NULL);
  config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_get_params (config, &pool_caps, NULL, NULL, NULL);
  fail_unless (gst_caps_is_equal (caps, pool_caps));
  gst_structure_free (config);

  buffer = acquire (pool);
  meta = gst_buffer_get_video_meta (buffer);
  fail_unless (meta != NULL);
  fail_unless_equals_int (meta->format, GST_VIDEO_FORMAT_NV12);
  fail_unless_equals_int (gst_buffer_get_size (buffer), SIZE_420);
  check_frame (buffer, NV12_CAPS);
  gst_buffer_unref (buffer);
  leave_pool (pool);
  gst_query_unref (query);

  /* A tiled layout is for the device that makes it */
  downstream.answers = TRUE;
  query = query_allocation ("video/x-raw(memory:DMABuf), format=DMA_DRM, "
      "drm-format=(string)NV12:0x0100000000000002, " GEOMETRY);
  fail_unless_equals_int (gst_query_get_n_allocation_pools (query), 0);
  fail_unless_equals_int (gst_query_get_n_allocation_params (query), 0);
  gst_query_unref (query);
  fail_unless_equals_int (gst_pad_push (my_src_pad,
          gst_buffer_new_allocate (NULL, SIZE_420, NULL)), GST_FLOW_OK);
  fail_unless (gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING) == NULL);
}

GST_END_TEST;
#endif

/* ---- what downstream proposes itself ---- */

static GstBufferPool *
new_downstream_pool (void)
{
  GstBufferPool *pool = gst_video_buffer_pool_new ();
  GstCaps *caps = gst_caps_from_string (NV12_CAPS);
  GstStructure *config = gst_buffer_pool_get_config (pool);
  GstVideoAlignment align;

  gst_video_alignment_reset (&align);
  align.padding_bottom = 8;
  gst_buffer_pool_config_set_params (config, caps, SIZE_420, 2, 0);
  gst_buffer_pool_config_add_option (config, GST_BUFFER_POOL_OPTION_VIDEO_META);
  gst_buffer_pool_config_add_option (config,
      GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT);
  gst_buffer_pool_config_set_video_alignment (config, &align);
  fail_unless (gst_buffer_pool_set_config (pool, config));
  gst_caps_unref (caps);

  return pool;
}

GST_START_TEST (test_downstream_pool_wins)
{
  GstBufferPool *pool;
  GstMessage *message;
  GstQuery *query;
  guint min_buffers;

  downstream.answers = downstream.video_meta = TRUE;
  downstream.pool = new_downstream_pool ();
  downstream.size = SIZE_420;
  downstream.min_buffers = 2;

  query = query_allocation (NV12_CAPS);
  fail_unless_equals_int (gst_query_get_n_allocation_pools (query), 1);
  gst_query_parse_nth_allocation_pool (query, 0, &pool, NULL, &min_buffers,
      NULL);
  fail_unless (pool == downstream.pool);
  fail_unless_equals_int (min_buffers, 2);
  fail_unless_equals_int (gst_query_get_n_allocation_params (query), 0);
  gst_object_unref (pool);
  gst_query_unref (query);

  /* It says so, once each time that it is started */
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_INFO);
  fail_unless (message != NULL);
  gst_message_unref (message);
  gst_query_unref (query_allocation (NV12_CAPS));
  fail_unless (gst_bus_pop_filtered (bus, GST_MESSAGE_INFO) == NULL);

  gst_element_set_state (element, GST_STATE_READY);
  gst_element_set_state (element, GST_STATE_PLAYING);
  gst_query_unref (query_allocation (NV12_CAPS));
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_INFO);
  fail_unless (message != NULL);
  gst_message_unref (message);

  /* There is nothing more to say when frames come from that pool */
  fail_unless_equals_int (gst_pad_push (my_src_pad,
          gst_buffer_new_allocate (NULL, SIZE_420, NULL)), GST_FLOW_OK);
  fail_unless (gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING) == NULL);

  ASSERT_OBJECT_REFCOUNT (downstream.pool, "pool of downstream", 1);
  gst_object_unref (downstream.pool);
}

GST_END_TEST;

GST_START_TEST (test_downstream_pool_replaced)
{
  GstBufferPool *pool;
  GstBuffer *buffer;
  GstVideoMeta *meta;
  GstQuery *query;
  guint min_buffers;

  downstream.answers = downstream.video_meta = TRUE;
  downstream.pool = new_downstream_pool ();
  downstream.size = SIZE_420;
  downstream.min_buffers = 2;
  gst_util_set_object_arg (G_OBJECT (element), "downstream-pool", "replace");

  query = query_allocation (NV12_CAPS);
  gst_query_parse_nth_allocation_pool (query, 0, NULL, NULL, &min_buffers,
      NULL);
  fail_unless_equals_int (min_buffers, 2);
  pool = take_pool (query);
  fail_if (pool == downstream.pool);
  buffer = acquire (pool);
  fail_unless (is_of_the_heap (gst_buffer_peek_memory (buffer, 0)));

  /* Its padding counts all the same */
  meta = gst_buffer_get_video_meta (buffer);
  fail_unless (meta != NULL);
  fail_unless_equals_int (meta->offset[1], meta->stride[0] * (HEIGHT + 8));

  gst_buffer_unref (buffer);
  leave_pool (pool);
  gst_query_unref (query);
  ASSERT_OBJECT_REFCOUNT (downstream.pool, "pool of downstream", 1);
  gst_object_unref (downstream.pool);
}

GST_END_TEST;

/* ---- what upstream does with it ---- */

/* Whatever allocator upstream configures, the pool's name is its promise */
GST_START_TEST (test_allocator_of_upstream)
{
  GstAllocationParams params;
  GstAllocator *allocator;
  GstStructure *config;
  GstBufferPool *pool;
  GstBuffer *buffer;
  GstQuery *query;

  query = query_allocation (NV12_CAPS);
  gst_query_parse_nth_allocation_pool (query, 0, &pool, NULL, NULL, NULL);
  config = gst_buffer_pool_get_config (pool);
  gst_allocation_params_init (&params);
  gst_buffer_pool_config_set_allocator (config, NULL, &params);
  fail_unless (gst_buffer_pool_set_config (pool, config));
  fail_unless (gst_buffer_pool_set_active (pool, TRUE));

  config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_get_allocator (config, &allocator, NULL);
  fail_unless_equals_string (G_OBJECT_TYPE_NAME (allocator),
      "GstDmaHeapAllocator");
  gst_structure_free (config);

  buffer = acquire (pool);
  fail_unless (is_of_the_heap (gst_buffer_peek_memory (buffer, 0)));

  gst_buffer_unref (buffer);
  leave_pool (pool);
  gst_query_unref (query);
}

GST_END_TEST;

GST_START_TEST (test_pool_ignored)
{
  GstQuery *query = query_allocation (NV12_CAPS);
  gint i;

  for (i = 0; i < 2; i++)
    fail_unless_equals_int (gst_pad_push (my_src_pad,
            gst_buffer_new_allocate (NULL, SIZE_420, NULL)), GST_FLOW_OK);

  expect_warning ();

  gst_query_unref (query);
}

GST_END_TEST;

GST_START_TEST (test_pool_used)
{
  GstQuery *query = query_allocation (NV12_CAPS);
  GstBufferPool *pool = take_pool (query);

  fail_unless_equals_int (gst_pad_push (my_src_pad, acquire (pool)),
      GST_FLOW_OK);
  fail_unless (gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING) == NULL);

  gst_check_drop_buffers ();
  leave_pool (pool);
  gst_query_unref (query);
}

GST_END_TEST;

GST_START_TEST (test_allocator_property)
{
  GstAllocator *allocator = NULL, *again = NULL;
  GstQuery *query = query_allocation (NV12_CAPS);
  GstBuffer *buffer;

  g_object_get (element, "allocator", &allocator, NULL);
  fail_unless (allocator != NULL);
  g_object_get (element, "allocator", &again, NULL);
  fail_unless (again == allocator);
  gst_object_unref (again);

  buffer = gst_buffer_new_allocate (allocator, SIZE_420, NULL);
  fail_unless (is_of_the_heap (gst_buffer_peek_memory (buffer, 0)));
  check_frame (buffer, NV12_CAPS);

  /* As good as one of the pool */
  fail_unless_equals_int (gst_pad_push (my_src_pad, buffer), GST_FLOW_OK);
  fail_unless (gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING) == NULL);

  gst_check_drop_buffers ();
  gst_object_unref (allocator);
  gst_query_unref (query);
}

GST_END_TEST;

/* The pool and its buffers outlive the element */
GST_START_TEST (test_stop_with_buffer)
{
  GstQuery *query = query_allocation (NV12_CAPS);
  GstBufferPool *pool = take_pool (query);
  GstBuffer *buffer = acquire (pool), *another;

  gst_query_unref (query);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_NULL),
      GST_STATE_CHANGE_SUCCESS);
  check_frame (buffer, NV12_CAPS);
  another = acquire (pool);
  gst_buffer_unref (another);
  gst_buffer_unref (buffer);
  leave_pool (pool);
}

GST_END_TEST;

GST_START_TEST (test_stop_closes_heap)
{
  gpointer allocator;

  g_object_get (element, "allocator", &allocator, NULL);
  fail_unless (allocator != NULL);
  g_object_add_weak_pointer (allocator, &allocator);
  gst_object_unref (allocator);
  fail_unless (allocator != NULL);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY),
      GST_STATE_CHANGE_SUCCESS);
  fail_unless (allocator == NULL);
}

GST_END_TEST;

static GstPadProbeReturn
count_heap_buffers (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  gint *n = data;

  if (is_of_the_heap (gst_buffer_peek_memory (buffer, 0)))
    (*n)++;

  return GST_PAD_PROBE_OK;
}

GST_START_TEST (test_pipeline)
{
  GstElement *pipeline, *heap;
  GstMessage *message;
  GstBus *pipeline_bus;
  GError *error = NULL;
  GstPad *pad;
  gint n = 0;

  if (!gst_registry_check_feature_version (gst_registry_get (), "videotestsrc",
          1, 0, 0)) {
    g_print ("no videotestsrc, no test_pipeline\n");
    return;
  }

  pipeline = gst_parse_launch ("videotestsrc num-buffers=5 ! " NV12_CAPS
      " ! dmaheapalloc name=heap ! fakesink", &error);
  fail_unless (pipeline != NULL && error == NULL);
  heap = gst_bin_get_by_name (GST_BIN (pipeline), "heap");
  g_object_set (heap, "heap", heap_path (), NULL);
  pad = gst_element_get_static_pad (heap, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, count_heap_buffers, &n,
      NULL);

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  pipeline_bus = gst_element_get_bus (pipeline);
  message = gst_bus_timed_pop_filtered (pipeline_bus, 30 * GST_SECOND,
      GST_MESSAGE_EOS | GST_MESSAGE_ERROR | GST_MESSAGE_WARNING);
  fail_unless (message != NULL);
  fail_unless_equals_string (GST_MESSAGE_TYPE_NAME (message), "eos");
  fail_unless_equals_int (n, 5);
  gst_message_unref (message);

  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline_bus);
  gst_object_unref (pad);
  gst_object_unref (heap);
  gst_object_unref (pipeline);
}

GST_END_TEST;

/* ---- what only a heap that is made up can show ---- */

GST_START_TEST (test_fake_heap_is_full)
{
  GstQuery *query = query_allocation (NV12_CAPS);
  GstBufferPool *pool = take_pool (query);
  GstBuffer *buffer = NULL;
  GstMessage *message;
  GError *error = NULL;

  fake_heap ()->fail_allocs = 1;
  fail_unless_equals_int (gst_buffer_pool_acquire_buffer (pool, &buffer, NULL),
      GST_FLOW_ERROR);

  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  fail_unless (message != NULL);
  gst_message_parse_error (message, &error, NULL);
  fail_unless (g_error_matches (error, GST_RESOURCE_ERROR,
          GST_RESOURCE_ERROR_NO_SPACE_LEFT));
  fail_unless (strstr (error->message, heap_path ()) != NULL, "%s",
      error->message);
  fail_unless (strstr (error->message, g_strerror (ENOMEM)) != NULL, "%s",
      error->message);
  g_clear_error (&error);
  gst_message_unref (message);

  leave_pool (pool);
  gst_query_unref (query);
}

GST_END_TEST;

/* A buffer is handed out when no device uses it, or when one hangs */
GST_START_TEST (test_fake_fences)
{
  struct fake_heap *fake = fake_heap ();
  GstQuery *query;
  GstBufferPool *pool;

  g_object_set (element, "memory-per-plane", TRUE, NULL);
  query = query_allocation (NV12_CAPS);
  pool = take_pool (query);

  gst_buffer_unref (acquire (pool));
  fail_unless_equals_int (fake->polls, 2);

  fake->interrupt_polls = 3;
  gst_buffer_unref (acquire (pool));
  fail_unless_equals_int (fake->interrupt_polls, 0);
  fail_unless_equals_int (fake->polls, 4);

  fake->busy_polls = 2;
  gst_buffer_unref (acquire (pool));
  fail_unless_equals_int (fake->busy_polls, 0);
  fail_unless_equals_int (fake->polls, 8);

  fake->busy_polls = 1000;
  gst_buffer_unref (acquire (pool));
  fail_unless (fake->busy_polls < 1000);
  fake->busy_polls = 0;

  leave_pool (pool);
  gst_query_unref (query);
}

GST_END_TEST;

/* Who does not want to wait is told so, and the buffer stays in the pool */
GST_START_TEST (test_fake_fence_dont_wait)
{
  struct fake_heap *fake = fake_heap ();
  GstBufferPoolAcquireParams params = {
    .flags = GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT,
  };
  GstQuery *query = query_allocation (NV12_CAPS);
  GstBufferPool *pool = take_pool (query);
  GstBuffer *buffer = NULL;
  gint allocs;

  gst_buffer_unref (acquire (pool));
  allocs = fake->allocs;

  fake->busy_polls = 1;
  fail_unless_equals_int (gst_buffer_pool_acquire_buffer (pool, &buffer,
          &params), GST_FLOW_EOS);
  fail_unless (buffer == NULL);
  fail_unless_equals_int (gst_buffer_pool_acquire_buffer (pool, &buffer,
          &params), GST_FLOW_OK);
  fail_unless_equals_int (fake->allocs, allocs);

  gst_buffer_unref (buffer);
  leave_pool (pool);
  gst_query_unref (query);
}

GST_END_TEST;

static gpointer
flush_soon (gpointer pool)
{
  g_usleep (G_USEC_PER_SEC / 5);
  gst_buffer_pool_set_flushing (pool, TRUE);
  return NULL;
}

/* A device that hangs does not keep a pipeline from stopping */
GST_START_TEST (test_fake_fence_flushing)
{
  struct fake_heap *fake = fake_heap ();
  GstQuery *query = query_allocation (NV12_CAPS);
  GstBufferPool *pool = take_pool (query);
  GstBuffer *buffer = NULL;
  GThread *thread;

  gst_buffer_unref (acquire (pool));

  fake->busy_polls = 1000;
  thread = g_thread_new ("flush", flush_soon, pool);
  fail_unless_equals_int (gst_buffer_pool_acquire_buffer (pool, &buffer, NULL),
      GST_FLOW_FLUSHING);
  fail_unless (buffer == NULL);
  g_thread_join (thread);
  fake->busy_polls = 0;

  gst_buffer_pool_set_flushing (pool, FALSE);
  gst_buffer_unref (acquire (pool));
  leave_pool (pool);
  gst_query_unref (query);
}

GST_END_TEST;

/* No CPU touches what passes through */
GST_START_TEST (test_fake_no_sync)
{
  GstQuery *query = query_allocation (NV12_CAPS);
  GstBufferPool *pool = take_pool (query);
  gint i;

  for (i = 0; i < 3; i++)
    fail_unless_equals_int (gst_pad_push (my_src_pad, acquire (pool)),
        GST_FLOW_OK);
  fail_unless_equals_int (fake_heap ()->sync_start_read, 0);
  fail_unless_equals_int (fake_heap ()->sync_start_write, 0);
  fail_unless_equals_int (fake_heap ()->sync_end, 0);

  gst_check_drop_buffers ();
  leave_pool (pool);
  gst_query_unref (query);
}

GST_END_TEST;

static Suite *
element_suite (void)
{
  Suite *s = suite_create ("dmaheapalloc");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_checked_fixture (tc, setup, teardown);
  tcase_add_test (tc, test_passthrough);
  tcase_add_test (tc, test_caps);
  tcase_add_test (tc, test_no_answer_downstream);
  tcase_add_test (tc, test_formats);
  tcase_add_test (tc, test_numbers_of_downstream);
  tcase_add_test (tc, test_recycling);
  tcase_add_test (tc, test_padding);
  tcase_add_test (tc, test_padding_of_both);
  tcase_add_test (tc, test_stride_align);
  tcase_add_test (tc, test_stride_align_without_meta);
  tcase_add_test (tc, test_stride_of_downstream);
  tcase_add_test (tc, test_params_of_downstream);
  tcase_add_test (tc, test_no_pool_wanted);
  tcase_add_test (tc, test_memory_per_plane);
  tcase_add_test (tc, test_memory_per_plane_without_meta);
  tcase_add_test (tc, test_memory_per_plane_with_padding);
  tcase_add_test (tc, test_fields);
  tcase_add_test (tc, test_dmabuf_feature);
#if GST_CHECK_VERSION (1, 24, 0)
  tcase_add_test (tc, test_dma_drm);
#endif
  tcase_add_test (tc, test_downstream_pool_wins);
  tcase_add_test (tc, test_downstream_pool_replaced);
  tcase_add_test (tc, test_allocator_of_upstream);
  tcase_add_test (tc, test_pool_ignored);
  tcase_add_test (tc, test_pool_used);
  tcase_add_test (tc, test_allocator_property);
  tcase_add_test (tc, test_stop_with_buffer);
  tcase_add_test (tc, test_stop_closes_heap);

  tc = tcase_create ("pipeline");
  suite_add_tcase (s, tc);
  tcase_add_test (tc, test_pipeline);

  if (fake_heap () != NULL) {
    tc = tcase_create ("fake");
    suite_add_tcase (s, tc);
    tcase_add_checked_fixture (tc, setup, teardown);
    tcase_add_test (tc, test_fake_heap_is_full);
    tcase_add_test (tc, test_fake_fences);
    tcase_add_test (tc, test_fake_fence_dont_wait);
    tcase_add_test (tc, test_fake_fence_flushing);
    tcase_add_test (tc, test_fake_no_sync);
  }

  return s;
}

int
main (int argc, char **argv)
{
  gst_check_init (&argc, &argv);

  return run_suite_with_heap (element_suite (), "element", __FILE__);
}
