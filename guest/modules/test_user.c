// SPDX-License-Identifier: GPL-2.0
/*
 * A device that names a region in its "memory-region" property. What it does with
 * it is up to two attributes: "region" is 1 while it has the region, "buffer" is
 * 1 while it has a buffer of 1 MiB from dma_alloc_coherent().
 */

#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/kstrtox.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/of_reserved_mem.h>
#include <linux/platform_device.h>
#include <linux/sizes.h>

static void *buffer;
static dma_addr_t address;

static ssize_t region_store(struct device *dev, struct device_attribute *attr,
			    const char *text, size_t size)
{
	bool on;
	int ret;

	ret = kstrtobool(text, &on);
	if (!ret && on)
		ret = of_reserved_mem_device_init(dev);
	else if (!ret)
		of_reserved_mem_device_release(dev);

	return ret ? ret : size;
}
static DEVICE_ATTR_WO(region);

static ssize_t buffer_store(struct device *dev, struct device_attribute *attr,
			    const char *text, size_t size)
{
	bool on;
	int ret;

	ret = kstrtobool(text, &on);
	if (ret || on == !!buffer)
		return ret ? ret : -EINVAL;

	if (on)
		buffer = dma_alloc_coherent(dev, SZ_1M, &address, GFP_KERNEL);
	else
		dma_free_coherent(dev, SZ_1M, buffer, address);
	if (!buffer)
		return -ENOMEM;
	if (!on)
		buffer = NULL;

	return size;
}
static DEVICE_ATTR_WO(buffer);

static struct attribute *test_user_attrs[] = {
	&dev_attr_region.attr,
	&dev_attr_buffer.attr,
	NULL
};
ATTRIBUTE_GROUPS(test_user);

static int test_user_probe(struct platform_device *pdev)
{
	return dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(32));
}

static const struct of_device_id test_user_of_match[] = {
	{ .compatible = "rcar-cma-heap,test-user" },
	{}
};
MODULE_DEVICE_TABLE(of, test_user_of_match);

static struct platform_driver test_user_driver = {
	.probe = test_user_probe,
	.driver = {
		.name = "test_user",
		.of_match_table = test_user_of_match,
		.dev_groups = test_user_groups,
	},
};
module_platform_driver(test_user_driver);

MODULE_DESCRIPTION("Device that names a region as its memory");
MODULE_LICENSE("GPL");
