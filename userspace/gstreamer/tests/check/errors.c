/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What dmaheapalloc says when its heap cannot be used: tests that need no heap
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <string.h>

#include <gst/check/gstcheck.h>

GST_START_TEST (test_no_such_heap)
{
  const gchar *path = "/dev/dma_heap/no-such-heap";
  GstElement *element = gst_check_setup_element ("dmaheapalloc");
  GstBus *bus = gst_bus_new ();
  GError *error = NULL;
  GstMessage *message;
  gchar *debug = NULL;

  gst_element_set_bus (element, bus);
  g_object_set (element, "heap", path, NULL);

  /* Nothing is opened before READY to PAUSED */
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY),
      GST_STATE_CHANGE_SUCCESS);
  fail_unless (gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR) == NULL);

  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_PAUSED),
      GST_STATE_CHANGE_FAILURE);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  fail_unless (message != NULL);
  gst_message_parse_error (message, &error, &debug);
  fail_unless (g_error_matches (error, GST_RESOURCE_ERROR,
          GST_RESOURCE_ERROR_OPEN_READ_WRITE));
  fail_unless (strstr (error->message, path) != NULL, "%s", error->message);
  fail_unless (strstr (error->message, g_strerror (ENOENT)) != NULL, "%s",
      error->message);
  g_clear_error (&error);
  g_free (debug);
  gst_message_unref (message);

  gst_element_set_bus (element, NULL);
  gst_bus_set_flushing (bus, TRUE);
  gst_object_unref (bus);
  gst_check_teardown_element (element);
}

GST_END_TEST;

GST_START_TEST (test_no_allocator)
{
  GstElement *element = gst_check_setup_element ("dmaheapalloc");
  GstAllocator *allocator;
  gchar *path;

  g_object_set (element, "heap", "/dev/dma_heap/no-such-heap", NULL);
  g_object_get (element, "allocator", &allocator, NULL);
  fail_unless (allocator == NULL);

  /* It opens, and turns out to be no heap when memory is asked for */
  g_object_set (element, "heap", "/dev/null", NULL);
  g_object_get (element, "allocator", &allocator, NULL);
  fail_unless (allocator != NULL);
  fail_if (gst_allocator_alloc (allocator, 1000, NULL));
  gst_object_unref (allocator);

  /* Another heap has another one */
  g_object_set (element, "heap", "/dev/zero", NULL);
  g_object_get (element, "allocator", &allocator, NULL);
  fail_unless (allocator != NULL);
  g_object_get (allocator, "heap", &path, NULL);
  fail_unless_equals_string (path, "/dev/zero");
  g_free (path);
  gst_object_unref (allocator);

  gst_check_teardown_element (element);
}

GST_END_TEST;

GST_START_TEST (test_defaults)
{
  GstElement *element = gst_check_setup_element ("dmaheapalloc");
  gboolean memory_per_plane;
  gint downstream_pool;
  guint stride_align;
  gchar *heap;

  g_object_get (element, "heap", &heap, "downstream-pool", &downstream_pool,
      "memory-per-plane", &memory_per_plane, "stride-align", &stride_align,
      NULL);
  fail_unless_equals_string (heap, GST_DMA_HEAP_DEFAULT_PATH);
  fail_unless_equals_int (downstream_pool, 0);
  fail_if (memory_per_plane);
  fail_unless_equals_int (stride_align, 1);
  g_free (heap);

  ASSERT_WARNING (g_object_set (element, "stride-align", 48, NULL));
  g_object_get (element, "stride-align", &stride_align, NULL);
  fail_unless_equals_int (stride_align, 1);
  g_object_set (element, "stride-align", 64, NULL);
  g_object_get (element, "stride-align", &stride_align, NULL);
  fail_unless_equals_int (stride_align, 64);

  gst_check_teardown_element (element);
}

GST_END_TEST;

static Suite *
errors_suite (void)
{
  Suite *s = suite_create ("errors");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_test (tc, test_no_such_heap);
  tcase_add_test (tc, test_no_allocator);
  tcase_add_test (tc, test_defaults);

  return s;
}

GST_CHECK_MAIN (errors);
