/* SPDX-License-Identifier: MIT */
/* What the two fakes share */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE		4096UL
#define REGION		(256UL << 20)

/* What devices and drivers would have seen goes to the file that FAKE_LOG names. */
static inline void fake_log(const char *format, ...)
{
	const char *path = getenv("FAKE_LOG");
	FILE *log = path ? fopen(path, "a") : NULL;
	va_list args;

	if (!log)
		return;

	va_start(args, format);
	vfprintf(log, format, args);
	va_end(args);
	fclose(log);
}

/* FAKE_NODE is the errno of opening a node. */
static inline int fake_node_error(void)
{
	const char *error = getenv("FAKE_NODE");

	return error ? atoi(error) : 0;
}
