/* SPDX-License-Identifier: MIT */
/* The same of libmmngrbuf */
#ifndef __MMNGR_BUF_USER_PUBLIC_H__
#define __MMNGR_BUF_USER_PUBLIC_H__

#include <stddef.h>

#ifndef R_MM_OK
#define R_MM_OK		0
#define R_MM_FATAL	-1
#define R_MM_SEQE	-2
#define R_MM_PARE	-3
#define R_MM_NOMEM	-4
#endif

int mmngr_export_start_in_user_ext(int *id, size_t size, unsigned int hard,
				   int *buf, void *param);
int mmngr_export_start_in_user(int *id, unsigned long size, unsigned long hard,
			       int *buf);
int mmngr_export_end_in_user_ext(int id);
int mmngr_export_end_in_user(int id);

int mmngr_import_start_in_user_ext(int *id, size_t *size, unsigned int *hard,
				   int buf, void *param);
int mmngr_import_start_in_user(int *id, unsigned long *size,
			       unsigned long *hard, int buf);
int mmngr_import_end_in_user_ext(int id);
int mmngr_import_end_in_user(int id);

#endif
