// SPDX-License-Identifier: MIT
/*
 * Two buffers, one way out for all failures, the addresses of both in one variable.
 */
#include <stdlib.h>
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"
#include "check.h"

struct pair {
	MMNGR_ID in, out;
	int in_xid, out_xid;
	int in_fd, out_fd;
	void *in_virt, *out_virt;
};

struct pair *pair_new(size_t in_size, size_t out_size);
void pair_free(struct pair *pair);

struct pair *pair_new(size_t in_size, size_t out_size)
{
	struct pair *pair = malloc(sizeof(*pair));
	unsigned int hard;

	if (!pair)
		return NULL;

	if (mmngr_alloc_in_user_ext(&pair->in, in_size, &hard, &pair->in_virt,
				    MMNGR_VA_SUPPORT, NULL))
		goto err_free;
	if (mmngr_export_start_in_user_ext(&pair->in_xid, in_size, hard,
					   &pair->in_fd, NULL))
		goto err_free_in;

	if (mmngr_alloc_in_user_ext(&pair->out, out_size, &hard,
				    &pair->out_virt, MMNGR_VA_SUPPORT, NULL))
		goto err_end_in;
	if (mmngr_export_start_in_user_ext(&pair->out_xid, out_size, hard,
					   &pair->out_fd, NULL))
		goto err_free_out;

	return pair;

err_free_out:
	mmngr_free_in_user_ext(pair->out);
err_end_in:
	mmngr_export_end_in_user_ext(pair->in_xid);
err_free_in:
	mmngr_free_in_user_ext(pair->in);
err_free:
	free(pair);

	return NULL;
}

void pair_free(struct pair *pair)
{
	mmngr_export_end_in_user_ext(pair->out_xid);
	mmngr_export_end_in_user_ext(pair->in_xid);
	mmngr_free_in_user_ext(pair->out);
	mmngr_free_in_user_ext(pair->in);
	free(pair);
}

int main(void)
{
	int before = descriptors();
	struct pair *pair;

	pair = pair_new(10000, 20000);
	if (!pair)
		return 1;
	fill(pair->in_virt, 10000, 21);
	fill(pair->out_virt, 20000, 22);
	printf("in: %08lx\n", device_reads(pair->in_fd, 10000));
	printf("out: %08lx\n", device_reads(pair->out_fd, 20000));
	pair_free(pair);
	printf("second too large: %d\n", !pair_new(10000, (size_t)1 << 31));
	printf("descriptors left: %d\n", descriptors() - before);

	return 0;
}
