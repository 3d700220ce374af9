// SPDX-License-Identifier: MIT
/*
 * A buffer in a structure, allocated in one function, shared and exported in others, which
 * have the structure itself or its address.
 */
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"
#include "check.h"

#define SIZE 20000

struct frame {
	MMNGR_ID id;
	unsigned int hard_addr;
	void *virt_addr;
};

struct frame2 {
	MMNGR_ID id2;
	unsigned long phy2, hard2, virt2;
};

int frames_alloc(struct frame *frame, struct frame2 *frame2);
void by_address(struct frame *frame, struct frame2 *frame2);
void by_value(struct frame frame, struct frame2 frame2);
void show(const char *name, int ret, void *shared, MMNGR_ID ids);

int frames_alloc(struct frame *frame, struct frame2 *frame2)
{
	int ret;

	ret = mmngr_alloc_in_user_ext(&frame->id, SIZE, &frame->hard_addr,
				      &frame->virt_addr, MMNGR_VA_SUPPORT, NULL);
	if (ret)
		return ret;

	return mmngr_alloc_in_user(&frame2->id2, SIZE, &frame2->phy2, &frame2->hard2,
				   &frame2->virt2, MMNGR_VA_SUPPORT);
}

void show(const char *name, int ret, void *shared, MMNGR_ID ids)
{
	printf("%s: %d, %08lx\n", name, ret, sum(shared, SIZE));
	mmngr_release_in_user_ext(ids);
}

void by_address(struct frame *frame, struct frame2 *frame2)
{
	unsigned long map;
	MMNGR_ID ids;
	void *shared;
	int ret;

	ret = mmngr_share_in_user_ext(&ids, SIZE, frame->hard_addr, &shared, NULL);
	show("share by address", ret, shared, ids);
	ret = mmngr_share_in_user(&ids, SIZE, frame2->hard2, &map);
	show("share by address, Gen2", ret, (void *)map, ids);
}

void by_value(struct frame frame, struct frame2 frame2)
{
	unsigned long map;
	MMNGR_ID ids;
	void *shared;
	int ret, fd, xid;

	ret = mmngr_share_in_user_ext(&ids, SIZE, frame.hard_addr, &shared, NULL);
	show("share by value", ret, shared, ids);
	ret = mmngr_share_in_user(&ids, SIZE, frame2.hard2, &map);
	show("share by value, Gen2", ret, (void *)map, ids);

	ret = mmngr_export_start_in_user_ext(&xid, SIZE, frame.hard_addr, &fd, NULL);
	printf("export by value: %d, %08lx\n", ret, device_reads(fd, SIZE));
	mmngr_export_end_in_user_ext(xid);
}

int main(void)
{
	int before = descriptors();
	struct frame frame;
	struct frame2 frame2;

	if (frames_alloc(&frame, &frame2))
		return 1;
	fill(frame.virt_addr, SIZE, 7);
	fill((void *)frame2.virt2, SIZE, 8);

	by_address(&frame, &frame2);
	by_value(frame, frame2);

	printf("free: %d\n", mmngr_free_in_user_ext(frame.id));
	printf("free, Gen2: %d\n", mmngr_free_in_user(frame2.id2));
	printf("descriptors left: %d\n", descriptors() - before);

	return 0;
}
