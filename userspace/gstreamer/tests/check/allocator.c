/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of GstDmaHeapAllocator
 */

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "heap.h"

#include <string.h>
#include <sys/mman.h>

#include <gst/allocators/gstdmabuf.h>
#include <gst/video/video.h>
#include <gst/video/gstvideopool.h>
#if GST_CHECK_VERSION (1, 28, 0)
#include <gst/video/gstvideodmabufpool.h>
#endif

#include "gstdmaheapallocator.h"

static GstAllocator *
new_allocator (void)
{
  GError *error = NULL;
  GstAllocator *allocator;

  allocator = gst_dma_heap_allocator_new (heap_path (), &error);
  fail_unless (allocator != NULL, "%s", error ? error->message : "no error");
  fail_unless (error == NULL);

  return allocator;
}

static gboolean
all_are (const guint8 * data, gsize size, guint8 value)
{
  gsize i;

  for (i = 0; i < size; i++)
    if (data[i] != value)
      return FALSE;
  return TRUE;
}

GST_START_TEST (test_alloc_map_write_read)
{
  GstAllocator *allocator = new_allocator ();
  gsize page = sysconf (_SC_PAGESIZE);
  GstMapInfo map;
  GstMemory *mem;

  mem = gst_allocator_alloc (allocator, page + 1, NULL);
  fail_unless (mem != NULL);
  fail_unless (gst_is_dmabuf_memory (mem));
  fail_unless (gst_memory_is_type (mem, GST_ALLOCATOR_DMABUF));
  fail_unless (gst_dmabuf_memory_get_fd (mem) >= 0);
  fail_unless (mem->allocator == allocator);
  fail_unless_equals_int (mem->size, page + 1);
  fail_unless_equals_int (mem->maxsize, 2 * page);
  fail_unless_equals_int (lseek (gst_dmabuf_memory_get_fd (mem), 0, SEEK_END),
      2 * page);

  fail_unless (gst_memory_map (mem, &map, GST_MAP_READ));
  fail_unless_equals_int (map.size, page + 1);
  fail_unless (all_are (map.data, map.size, 0));
  gst_memory_unmap (mem, &map);

  fail_unless (gst_memory_map (mem, &map, GST_MAP_WRITE));
  memset (map.data, 0xa5, map.size);
  gst_memory_unmap (mem, &map);

  fail_unless (gst_memory_map (mem, &map, GST_MAP_READ));
  fail_unless (all_are (map.data, map.size, 0xa5));
  gst_memory_unmap (mem, &map);

  /* Memory holds its allocator */
  gst_object_unref (allocator);
  gst_memory_unref (mem);
}

GST_END_TEST;

GST_START_TEST (test_params)
{
  GstAllocator *allocator = new_allocator ();
  gsize page = sysconf (_SC_PAGESIZE), offset, maxsize;
  GstAllocationParams params;
  GstMapInfo map;
  GstMemory *mem;
  GError *error = NULL;

  gst_allocation_params_init (&params);
  params.align = page - 1;
  params.prefix = 64;
  params.padding = page;
  params.flags = GST_MEMORY_FLAG_ZERO_PREFIXED | GST_MEMORY_FLAG_ZERO_PADDED;
  mem = gst_allocator_alloc (allocator, 1000, &params);
  fail_unless (mem != NULL);
  fail_unless_equals_int (gst_memory_get_sizes (mem, &offset, &maxsize), 1000);
  fail_unless_equals_int (offset, 64);
  fail_unless_equals_int (maxsize, 2 * page);
  fail_unless (GST_MEMORY_IS_ZERO_PREFIXED (mem));
  fail_unless (GST_MEMORY_IS_ZERO_PADDED (mem));
  fail_unless (gst_memory_map (mem, &map, GST_MAP_READ));
  fail_unless_equals_int ((guintptr) map.data % page, 64);
  gst_memory_unmap (mem, &map);
  gst_memory_unref (mem);

  /* What cannot be given is not given */
  gst_allocation_params_init (&params);
  params.align = 2 * page - 1;
  mem = gst_dma_heap_allocator_alloc (GST_DMA_HEAP_ALLOCATOR (allocator), 1000,
      &params, &error);
  fail_unless (mem == NULL);
  fail_unless (g_error_matches (error, GST_RESOURCE_ERROR,
          GST_RESOURCE_ERROR_SETTINGS));
  g_clear_error (&error);

  gst_allocation_params_init (&params);
  params.prefix = 64;
  mem = gst_dma_heap_allocator_alloc (GST_DMA_HEAP_ALLOCATOR (allocator),
      G_MAXSIZE - 60, &params, &error);
  fail_unless (mem == NULL);
  fail_unless (g_error_matches (error, GST_RESOURCE_ERROR,
          GST_RESOURCE_ERROR_NO_SPACE_LEFT));
  g_clear_error (&error);

  gst_object_unref (allocator);
}

GST_END_TEST;

/* A reader and a writer at the same time, which GstFdMemory refuses */
GST_START_TEST (test_map_twice)
{
  GstAllocator *allocator = new_allocator ();
  GstMapInfo map;
  gpointer data;
  GstMemory *mem;

  mem = gst_allocator_alloc (allocator, 100, NULL);

  /* Not gst_memory_map(), whose lock does not let both in */
  data = mem->allocator->mem_map (mem, mem->maxsize, GST_MAP_READ);
  fail_unless (data != NULL);
  fail_unless (gst_memory_map (mem, &map, GST_MAP_WRITE));
  fail_unless (map.data == data, "the mapping has moved");
  map.data[99] = 7;
  gst_memory_unmap (mem, &map);
  mem->allocator->mem_unmap (mem);

  gst_memory_unref (mem);
  gst_object_unref (allocator);
}

GST_END_TEST;

GST_START_TEST (test_stays_mapped)
{
  GstAllocator *allocator = new_allocator ();
  gsize page = sysconf (_SC_PAGESIZE);
  unsigned char in_core;
  GstMapInfo map;
  gpointer data;
  GstMemory *mem;

  mem = gst_allocator_alloc (allocator, page, NULL);
  fail_unless (gst_memory_map (mem, &map, GST_MAP_READ));
  data = map.data;
  gst_memory_unmap (mem, &map);
  fail_unless_equals_int (mincore (data, page, &in_core), 0);

  gst_memory_unref (mem);
  fail_unless (mincore (data, page, &in_core) < 0 && errno == ENOMEM);
  gst_object_unref (allocator);
}

GST_END_TEST;

static gint
lowest_free_fd (void)
{
  gint fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);

  fail_unless (fd >= 0);
  close (fd);

  return fd;
}

GST_START_TEST (test_closes_all)
{
  gint fd = lowest_free_fd ();
  GstAllocator *allocator = new_allocator ();
  GstMemory *mem = gst_allocator_alloc (allocator, 1, NULL);

  fail_unless (lowest_free_fd () > fd);
  gst_memory_unref (mem);
  gst_object_unref (allocator);
  fail_unless_equals_int (lowest_free_fd (), fd);
}

GST_END_TEST;

GST_START_TEST (test_share_and_copy)
{
  GstAllocator *allocator = new_allocator ();
  GstMemory *mem, *part, *copy;
  GstMapInfo map;

  mem = gst_allocator_alloc (allocator, 1000, NULL);
  fail_unless (gst_memory_map (mem, &map, GST_MAP_WRITE));
  memset (map.data, 1, 500);
  memset (map.data + 500, 2, 500);
  gst_memory_unmap (mem, &map);

  part = gst_memory_share (mem, 500, 100);
  fail_unless (part != NULL);
  fail_unless_equals_int (gst_dmabuf_memory_get_fd (part),
      gst_dmabuf_memory_get_fd (mem));
  fail_unless (gst_memory_map (part, &map, GST_MAP_READ));
  fail_unless_equals_int (map.size, 100);
  fail_unless (all_are (map.data, map.size, 2));
  gst_memory_unmap (part, &map);
  gst_memory_unref (part);

  /* A copy is of the heap too, so that it can go wherever the original could */
  copy = gst_memory_copy (mem, 500, 500);
  fail_unless (copy != NULL);
  fail_unless (copy->allocator == allocator);
  fail_if (gst_dmabuf_memory_get_fd (copy) == gst_dmabuf_memory_get_fd (mem));
  fail_unless (gst_memory_map (copy, &map, GST_MAP_READ));
  fail_unless (all_are (map.data, map.size, 2));
  gst_memory_unmap (copy, &map);
  gst_memory_unref (copy);

  gst_memory_unref (mem);
  gst_object_unref (allocator);
}

GST_END_TEST;

GST_START_TEST (test_buffer)
{
  GstAllocator *allocator = new_allocator ();
  GstBuffer *buffer;
  GstMapInfo map;

  fail_if (GST_OBJECT_FLAG_IS_SET (allocator, GST_ALLOCATOR_FLAG_CUSTOM_ALLOC));

  buffer = gst_buffer_new_allocate (allocator, 5000, NULL);
  fail_unless (buffer != NULL);
  fail_unless (gst_is_dmabuf_memory (gst_buffer_peek_memory (buffer, 0)));
  fail_unless_equals_int (gst_buffer_get_size (buffer), 5000);
  fail_unless_equals_int (gst_buffer_memset (buffer, 0, 3, 5000), 5000);
  fail_unless (gst_buffer_map (buffer, &map, GST_MAP_READ));
  fail_unless (all_are (map.data, map.size, 3));
  gst_buffer_unmap (buffer, &map);
  gst_buffer_unref (buffer);

  gst_object_unref (allocator);
}

GST_END_TEST;

static void
check_pool (GstBufferPool * pool, GstAllocator * allocator)
{
  GstCaps *caps = gst_caps_from_string ("video/x-raw, format=NV12, width=320, "
      "height=240, framerate=30/1");
  GstStructure *config;
  GstBuffer *buffer;
  GstMemory *mem;
  gint i;

  /* A pool that changes what it was given wants to be asked again */
  for (i = 0; i < 2; i++) {
    config = gst_buffer_pool_get_config (pool);
    gst_buffer_pool_config_set_params (config, caps, 320 * 240 * 3 / 2, 2, 0);
    if (i == 0) {
      gst_buffer_pool_config_set_allocator (config, allocator, NULL);
      gst_buffer_pool_config_add_option (config,
          GST_BUFFER_POOL_OPTION_VIDEO_META);
      gst_buffer_pool_config_add_option (config,
          GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT);
    }
    if (gst_buffer_pool_set_config (pool, config))
      break;
  }
  fail_unless (i < 2, "the pool has refused twice");
  fail_unless (gst_buffer_pool_set_active (pool, TRUE));

  fail_unless_equals_int (gst_buffer_pool_acquire_buffer (pool, &buffer, NULL),
      GST_FLOW_OK);
  mem = gst_buffer_peek_memory (buffer, 0);
  fail_unless (mem->allocator == allocator);
  gst_buffer_unref (buffer);

  fail_unless (gst_buffer_pool_set_active (pool, FALSE));
  gst_caps_unref (caps);
}

GST_START_TEST (test_video_buffer_pool)
{
  GstAllocator *allocator = new_allocator ();
  GstBufferPool *pool = gst_video_buffer_pool_new ();

  check_pool (pool, allocator);

  gst_object_unref (pool);
  gst_object_unref (allocator);
}

GST_END_TEST;

#if GST_CHECK_VERSION (1, 28, 0)
GST_START_TEST (test_video_dmabuf_pool)
{
  GstAllocator *allocator = new_allocator ();
  GstBufferPool *pool = gst_video_dmabuf_pool_new ();

  fail_unless (pool != NULL);
  check_pool (pool, allocator);

  gst_object_unref (pool);
  gst_object_unref (allocator);
}

GST_END_TEST;
#endif

GST_START_TEST (test_no_such_heap)
{
  const gchar *path = "/dev/dma_heap/no-such-heap";
  GError *error = NULL;

  fail_if (gst_dma_heap_allocator_new (path, &error));
  fail_unless (g_error_matches (error, GST_RESOURCE_ERROR,
          GST_RESOURCE_ERROR_OPEN_READ_WRITE));
  fail_unless (strstr (error->message, path) != NULL, "%s", error->message);
  fail_unless (strstr (error->message, g_strerror (ENOENT)) != NULL, "%s",
      error->message);
  g_clear_error (&error);
}

GST_END_TEST;

/* As g_object_new() makes it, it opens the heap when that is needed */
GST_START_TEST (test_property)
{
  GstAllocator *allocator;
  GstMemory *mem;
  gchar *path;

  allocator = g_object_new (GST_TYPE_DMA_HEAP_ALLOCATOR, NULL);
  gst_object_ref_sink (allocator);
  g_object_get (allocator, "heap", &path, NULL);
  fail_unless_equals_string (path, GST_DMA_HEAP_DEFAULT_PATH);
  g_free (path);
  gst_object_unref (allocator);

  allocator = g_object_new (GST_TYPE_DMA_HEAP_ALLOCATOR, "heap", heap_path (),
      NULL);
  gst_object_ref_sink (allocator);
  mem = gst_allocator_alloc (allocator, 1, NULL);
  fail_unless (mem != NULL);
  gst_memory_unref (mem);
  gst_object_unref (allocator);
}

GST_END_TEST;

/* ---- what only a heap that is made up can show ---- */

GST_START_TEST (test_fake_sync)
{
  struct fake_heap *fake = fake_heap ();
  GstAllocator *allocator = new_allocator ();
  GstMemory *mem;
  GstMapInfo map;

  mem = gst_allocator_alloc (allocator, 100, NULL);
  fail_unless_equals_int (fake->sync_start_read + fake->sync_start_write, 0);

  /* The access that is asked for, although the mapping serves both */
  fail_unless (gst_memory_map (mem, &map, GST_MAP_READ));
  fail_unless_equals_int (fake->sync_start_read, 1);
  fail_unless_equals_int (fake->sync_start_write, 0);
  fail_unless_equals_int (fake->sync_end, 0);
  gst_memory_unmap (mem, &map);
  fail_unless_equals_int (fake->sync_end, 1);

  fail_unless (gst_memory_map (mem, &map, GST_MAP_WRITE));
  gst_memory_unmap (mem, &map);
  fail_unless_equals_int (fake->sync_start_read, 1);
  fail_unless_equals_int (fake->sync_start_write, 1);
  fail_unless_equals_int (fake->sync_end, 2);

  /* A signal delays access, it does not spoil it */
  fake->interrupt_syncs = 2;
  fail_unless (gst_memory_map (mem, &map, GST_MAP_READ));
  fail_unless_equals_int (fake->sync_start_read, 2);
  fake->interrupt_syncs = 1;
  gst_memory_unmap (mem, &map);
  fail_unless_equals_int (fake->sync_end, 3);

  /* What may be stale cannot be read */
  fake->fail_syncs = 1;
  fail_if (gst_memory_map (mem, &map, GST_MAP_READ));
  fail_unless (gst_memory_map (mem, &map, GST_MAP_READ));
  gst_memory_unmap (mem, &map);

  gst_memory_unref (mem);
  gst_object_unref (allocator);
}

GST_END_TEST;

GST_START_TEST (test_fake_heap_is_full)
{
  GstAllocator *allocator = new_allocator ();
  GError *error = NULL;
  GstMemory *mem;

  fake_heap ()->fail_allocs = 2;
  mem = gst_dma_heap_allocator_alloc (GST_DMA_HEAP_ALLOCATOR (allocator), 1000,
      NULL, &error);
  fail_unless (mem == NULL);
  fail_unless (g_error_matches (error, GST_RESOURCE_ERROR,
          GST_RESOURCE_ERROR_NO_SPACE_LEFT));
  fail_unless (strstr (error->message, heap_path ()) != NULL, "%s",
      error->message);
  fail_unless (strstr (error->message, g_strerror (ENOMEM)) != NULL, "%s",
      error->message);
  g_clear_error (&error);

  fail_if (gst_allocator_alloc (allocator, 1000, NULL));
  fake_heap ()->interrupt_allocs = 1;
  mem = gst_allocator_alloc (allocator, 1000, NULL);
  fail_unless (mem != NULL);
  gst_memory_unref (mem);

  gst_object_unref (allocator);
}

GST_END_TEST;

static Suite *
allocator_suite (void)
{
  Suite *s = suite_create ("allocator");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_test (tc, test_alloc_map_write_read);
  tcase_add_test (tc, test_params);
  tcase_add_test (tc, test_map_twice);
  tcase_add_test (tc, test_stays_mapped);
  tcase_add_test (tc, test_closes_all);
  tcase_add_test (tc, test_share_and_copy);
  tcase_add_test (tc, test_buffer);
  tcase_add_test (tc, test_video_buffer_pool);
#if GST_CHECK_VERSION (1, 28, 0)
  tcase_add_test (tc, test_video_dmabuf_pool);
#endif
  tcase_add_test (tc, test_no_such_heap);
  tcase_add_test (tc, test_property);

  if (fake_heap () != NULL) {
    tc = tcase_create ("fake");
    suite_add_tcase (s, tc);
    tcase_add_test (tc, test_fake_sync);
    tcase_add_test (tc, test_fake_heap_is_full);
  }

  return s;
}

int
main (int argc, char **argv)
{
  gst_check_init (&argc, &argv);

  return run_suite_with_heap (allocator_suite (), "allocator", __FILE__);
}
