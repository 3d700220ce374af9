// SPDX-License-Identifier: GPL-2.0
/*
 * Makes the mistakes that a debug kernel is to report, one for each load. Loading
 * fails then, so that it can be loaded again.
 */

#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/mmdebug.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

static char *fault;
module_param(fault, charp, 0);
MODULE_PARM_DESC(fault, "the mistake to make, see the table");

/*
 * KMEMLEAK: nothing points to them any more, but for what is left on the stack of
 * the last ones.
 */
static int leak(void)
{
	for (int i = 0; i < 16; i++)
		if (!kzalloc(100, GFP_KERNEL))
			return -ENOMEM;

	return 0;
}

/* KASAN */
static int use_after_free(void)
{
	u8 *bytes = kzalloc(100, GFP_KERNEL);

	if (!bytes)
		return -ENOMEM;
	kfree(bytes);

	return READ_ONCE(bytes[1]) & 0;
}

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);

/* PROVE_LOCKING: both orders of two locks */
static int lock_order(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);

	return 0;
}

static DEFINE_SPINLOCK(spin);

/* DEBUG_ATOMIC_SLEEP */
static int sleep_in_atomic(void)
{
	spin_lock(&spin);
	might_sleep();
	spin_unlock(&spin);

	return 0;
}

/* UBSAN */
static int shift(void)
{
	unsigned int bits = 40 + strlen(fault) % 8;

	return (READ_ONCE(bits) << bits) & 0;
}

/* DEBUG_VM */
static int vm(void)
{
	VM_WARN_ON(fault);

	return 0;
}

/* DMA_API_DEBUG: unmapped without having been mapped */
static int dma(void)
{
	struct platform_device *pdev;

	pdev = platform_device_register_full(&(struct platform_device_info) {
		.name = "test_fault",
		.id = PLATFORM_DEVID_AUTO,
		.dma_mask = DMA_BIT_MASK(64),
	});
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);
	dma_unmap_page(&pdev->dev, 0x40000000, PAGE_SIZE, DMA_TO_DEVICE);
	platform_device_unregister(pdev);

	return 0;
}

static const struct {
	const char *name;
	int (*make)(void);
} faults[] = {
	{ "leak", leak },
	{ "use-after-free", use_after_free },
	{ "lock-order", lock_order },
	{ "sleep-in-atomic", sleep_in_atomic },
	{ "shift", shift },
	{ "vm", vm },
	{ "dma", dma },
};

static int __init test_fault_init(void)
{
	int ret;

	for (int i = 0; i < ARRAY_SIZE(faults); i++) {
		if (!fault || strcmp(fault, faults[i].name))
			continue;
		ret = faults[i].make();

		return ret ? ret : -ECANCELED;
	}
	pr_err("no such fault\n");

	return -EINVAL;
}
module_init(test_fault_init);

MODULE_DESCRIPTION("Mistakes that a debug kernel reports");
MODULE_LICENSE("GPL");
