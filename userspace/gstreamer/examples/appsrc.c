/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Frames that an application makes itself, in memory of a dma-buf heap
 *
 * The element is there for its allocator: a pool on it gives the buffers, and
 * the display shows them from where they are. The argument is the sink, with its
 * properties: kmssink if there is none.
 */

#include <gst/gst.h>
#include <gst/app/gstappsrc.h>
#include <gst/video/video.h>
#include <gst/video/gstvideopool.h>

#define CAPS "video/x-raw,format=NV12,width=1280,height=720,framerate=30/1"
#define LUMA (1280 * 720)
#define SIZE (LUMA * 3 / 2)

static void
push_frame (GstAppSrc * app, guint length, gpointer pool)
{
  static guint n = 0;
  GstBuffer *buffer;

  if (n == 120) {
    gst_app_src_end_of_stream (app);
  } else if (gst_buffer_pool_acquire_buffer (pool, &buffer, NULL) ==
      GST_FLOW_OK) {
    gst_buffer_memset (buffer, 0, 16 + n, LUMA);
    gst_buffer_memset (buffer, LUMA, 128, SIZE - LUMA);
    GST_BUFFER_PTS (buffer) = gst_util_uint64_scale (n++, GST_SECOND, 30);
    gst_app_src_push_buffer (app, buffer);
  } else {
    GST_ELEMENT_ERROR (app, RESOURCE, NO_SPACE_LEFT, ("No frame of the heap."),
        (NULL));
  }
}

int
main (int argc, char **argv)
{
  GstElement *pipeline, *app, *heap;
  GstAllocator *allocator;
  GstBufferPool *pool;
  GstStructure *config;
  GstMessage *message;
  GstCaps *caps;
  GError *error = NULL;
  gchar *text;

  gst_init (&argc, &argv);
  text = g_strdup_printf ("appsrc name=app format=time caps=" CAPS " ! "
      "dmaheapalloc name=heap downstream-pool=replace ! %s",
      argc > 1 ? argv[1] : "kmssink");
  pipeline = gst_parse_launch (text, &error);
  g_free (text);
  if (error != NULL) {
    g_printerr ("%s\n", error->message);
    return 1;
  }
  app = gst_bin_get_by_name (GST_BIN (pipeline), "app");
  heap = gst_bin_get_by_name (GST_BIN (pipeline), "heap");

  g_object_get (heap, "allocator", &allocator, NULL);
  if (allocator == NULL) {
    g_printerr ("no heap; GST_DEBUG=dmaheapalloc:4 tells why\n");
    return 1;
  }

  pool = gst_video_buffer_pool_new ();
  caps = gst_caps_from_string (CAPS);
  config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_set_params (config, caps, SIZE, 4, 4);
  gst_buffer_pool_config_set_allocator (config, allocator, NULL);
  if (!gst_buffer_pool_set_config (pool, config) ||
      !gst_buffer_pool_set_active (pool, TRUE)) {
    g_printerr ("the heap has no memory for 4 frames\n");
    return 1;
  }

  g_signal_connect (app, "need-data", G_CALLBACK (push_frame), pool);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (GST_ELEMENT_BUS (pipeline),
      GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
    gst_message_parse_error (message, &error, NULL);
    g_printerr ("%s\n", error->message);
  }

  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_buffer_pool_set_active (pool, FALSE);
  gst_message_unref (message);
  gst_caps_unref (caps);
  gst_object_unref (pool);
  gst_object_unref (allocator);
  gst_object_unref (app);
  gst_object_unref (heap);
  gst_object_unref (pipeline);

  return error != NULL;
}
