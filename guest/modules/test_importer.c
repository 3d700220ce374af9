// SPDX-License-Identifier: GPL-2.0
/*
 * An importer that does what a test says, and nothing besides: devices of any
 * reach, which attach dma-bufs and map them.
 *
 * Its devices are on the bus of the device tree's node "test,importer" if there
 * is one, and know the limits and the offset of that bus.
 */

#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/iosys-map.h>
#include <linux/limits.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/of_device.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "test_importer.h"

/**
 * struct test_importer - an opened file and its device
 * @pdev:	the device
 * @lock:	protects the members below; dma_resv of the buffer is taken inside
 * @attachment:	of the buffer that is attached, or NULL
 * @table:	of that buffer while it is mapped, or NULL
 * @dir:	direction of that mapping
 * @vmap:	of that buffer for the kernel, or null
 */
struct test_importer {
	struct platform_device *pdev;
	struct mutex lock; /* see above */
	struct dma_buf_attachment *attachment;
	struct sg_table *table;
	enum dma_data_direction dir;
	struct iosys_map vmap;
};

static int test_importer_attach(struct test_importer *importer, int fd)
{
	struct dma_buf_attachment *attachment;
	struct dma_buf *dmabuf;

	if (importer->attachment)
		return -EBUSY;

	dmabuf = dma_buf_get(fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	attachment = dma_buf_attach(dmabuf, &importer->pdev->dev);
	if (IS_ERR(attachment)) {
		dma_buf_put(dmabuf);
		return PTR_ERR(attachment);
	}

	importer->attachment = attachment;

	return 0;
}

static int test_importer_detach(struct test_importer *importer)
{
	struct dma_buf_attachment *attachment = importer->attachment;
	struct dma_buf *dmabuf;

	if (!attachment)
		return -EINVAL;
	if (importer->table || !iosys_map_is_null(&importer->vmap))
		return -EBUSY;

	dmabuf = attachment->dmabuf;
	dma_buf_detach(dmabuf, attachment);
	dma_buf_put(dmabuf);
	importer->attachment = NULL;

	return 0;
}

static int test_importer_map(struct test_importer *importer, unsigned long dir)
{
	struct sg_table *table;

	if (!importer->attachment || dir > DMA_FROM_DEVICE)
		return -EINVAL;
	if (importer->table)
		return -EBUSY;

	table = dma_buf_map_attachment_unlocked(importer->attachment, dir);
	if (IS_ERR(table))
		return PTR_ERR(table);

	importer->table = table;
	importer->dir = dir;

	return 0;
}

static int test_importer_unmap(struct test_importer *importer)
{
	if (!importer->table)
		return -EINVAL;

	dma_buf_unmap_attachment_unlocked(importer->attachment, importer->table,
					  importer->dir);
	importer->table = NULL;

	return 0;
}

static int test_importer_vunmap(struct test_importer *importer)
{
	if (iosys_map_is_null(&importer->vmap))
		return -EINVAL;

	dma_buf_vunmap_unlocked(importer->attachment->dmabuf, &importer->vmap);
	iosys_map_clear(&importer->vmap);

	return 0;
}

static int test_importer_vmap(struct test_importer *importer, u64 __user *address)
{
	int ret;

	if (!importer->attachment)
		return -EINVAL;
	if (!iosys_map_is_null(&importer->vmap))
		return -EBUSY;

	ret = dma_buf_vmap_unlocked(importer->attachment->dmabuf, &importer->vmap);
	if (ret)
		return ret;

	ret = put_user((unsigned long)importer->vmap.vaddr, address);
	if (ret)
		test_importer_vunmap(importer);

	return ret;
}

static u64 test_importer_sum_words(u64 sum, const void *mem, size_t size)
{
	const u64 *word = mem;
	size_t i;

	for (i = 0; i < size / sizeof(*word); i++)
		sum = sum * 31 + word[i];

	return sum;
}

static int test_importer_sum(struct test_importer *importer, u64 __user *result)
{
	u64 sums[2] = { };
	struct scatterlist *sg;
	phys_addr_t phys;
	int i;

	if (!importer->table || iosys_map_is_null(&importer->vmap))
		return -EINVAL;

	sums[0] = test_importer_sum_words(0, importer->vmap.vaddr,
					  importer->attachment->dmabuf->size);
	/* By the addresses: of pages an importer is to know nothing, see DMABUF_DEBUG. */
	for_each_sgtable_dma_sg(importer->table, sg, i) {
		phys = dma_to_phys(&importer->pdev->dev, sg_dma_address(sg));
		sums[1] = test_importer_sum_words(sums[1], phys_to_virt(phys),
						  sg_dma_len(sg));
	}

	return copy_to_user(result, sums, sizeof(sums)) ? -EFAULT : 0;
}

static int test_importer_set_mask(struct device *dev, unsigned long bits)
{
	if (!bits || bits > 64)
		return -EINVAL;

	return dma_set_mask_and_coherent(dev, DMA_BIT_MASK(bits));
}

static long test_importer_do(struct test_importer *importer, unsigned int cmd,
			     unsigned long arg)
{
	struct device *dev = &importer->pdev->dev;

	switch (cmd) {
	case TEST_IMPORTER_SET_MASK:
		return test_importer_set_mask(dev, arg);
	case TEST_IMPORTER_SET_COHERENT:
		if (importer->table)
			return -EBUSY;
		dev_assign_dma_coherent(dev, arg);
		return 0;
	case TEST_IMPORTER_SET_MAX_SEGMENT:
		dma_set_max_seg_size(dev, arg);
		return 0;
	case TEST_IMPORTER_ATTACH:
		return test_importer_attach(importer, arg);
	case TEST_IMPORTER_DETACH:
		return test_importer_detach(importer);
	case TEST_IMPORTER_MAP:
		return test_importer_map(importer, arg);
	case TEST_IMPORTER_UNMAP:
		return test_importer_unmap(importer);
	case TEST_IMPORTER_VMAP:
		return test_importer_vmap(importer, (u64 __user *)arg);
	case TEST_IMPORTER_VUNMAP:
		return test_importer_vunmap(importer);
	case TEST_IMPORTER_SUM:
		return test_importer_sum(importer, (u64 __user *)arg);
	default:
		return -ENOTTY;
	}
}

static long test_importer_ioctl(struct file *file, unsigned int cmd,
				unsigned long arg)
{
	struct test_importer *importer = file->private_data;
	long ret;

	mutex_lock(&importer->lock);
	ret = test_importer_do(importer, cmd, arg);
	mutex_unlock(&importer->lock);

	return ret;
}

static struct platform_device *test_importer_add_device(void)
{
	struct platform_device_info info = {
		.name = "test_importer",
		.id = PLATFORM_DEVID_AUTO,
		.dma_mask = DMA_BIT_MASK(64),
	};
	struct platform_device *pdev;
	struct device_node *np;
	int ret;

	np = of_find_compatible_node(NULL, NULL, "test,importer");
	info.fwnode = of_fwnode_handle(np);
	info.of_node_reused = true;
	pdev = platform_device_register_full(&info);
	if (IS_ERR(pdev) || !np)
		goto out;

	/* A driver's probe would have done this. */
	ret = of_dma_configure(&pdev->dev, np, true);
	if (ret) {
		platform_device_unregister(pdev);
		pdev = ERR_PTR(ret);
	}

out:
	of_node_put(np);

	return pdev;
}

static int test_importer_open(struct inode *inode, struct file *file)
{
	struct test_importer *importer;

	importer = kzalloc_obj(*importer);
	if (!importer)
		return -ENOMEM;

	importer->pdev = test_importer_add_device();
	if (IS_ERR(importer->pdev)) {
		int ret = PTR_ERR(importer->pdev);

		kfree(importer);
		return ret;
	}

	/* The API's default would be 64 KiB. */
	dma_set_max_seg_size(&importer->pdev->dev, UINT_MAX);
	mutex_init(&importer->lock);
	file->private_data = importer;

	return 0;
}

static int test_importer_release(struct inode *inode, struct file *file)
{
	struct test_importer *importer = file->private_data;

	test_importer_vunmap(importer);
	test_importer_unmap(importer);
	test_importer_detach(importer);
	platform_device_unregister(importer->pdev);
	mutex_destroy(&importer->lock);
	kfree(importer);

	return 0;
}

static const struct file_operations test_importer_fops = {
	.owner = THIS_MODULE,
	.open = test_importer_open,
	.release = test_importer_release,
	.unlocked_ioctl = test_importer_ioctl,
	.compat_ioctl = test_importer_ioctl,
};

static struct miscdevice test_importer_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "test_importer",
	.fops = &test_importer_fops,
};
module_misc_device(test_importer_misc);

MODULE_DESCRIPTION("Importer of dma-bufs for tests");
MODULE_IMPORT_NS("DMA_BUF");
MODULE_LICENSE("GPL");
