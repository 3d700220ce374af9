# SPDX-License-Identifier: GPL-2.0
"""Judge the media memory region of a board from its compiled device tree.

usage: boards.py check DTB            say what is wrong with the region; 1 if anything is
       boards.py broken DTB           break the region in every known way: is it noticed?
       boards.py copy DTB OUT [HOW]   write a copy, as it is or broken in one of these ways
"""
import sys

COMPATIBLE = "renesas,rcar-media-memory"
HEAP = "rcar"
MIB = 1 << 20
LIMIT = 1 << 32  # first byte that VIN, VSP and the others cannot reach
ALIGN = 2 * MIB  # CMA's granule with 4 KiB pages, and what a huge mapping needs
PROPERTIES = {"compatible", "reusable", "size", "alignment", "alloc-ranges", "reg", "phandle"}

# What a board's firmware uses and its device tree need not tell, so Linux
# cannot avoid it. By the SoC's compatible, with where the figures are from.
FIRMWARE = {
    "renesas,r8a7795": [
        # TF-A, plat/renesas/common/include/rcar_def.h, DRAM1_NS_BASE
        (0x40000000, 0x48000000, "secure world"),
        # U-Boot, include/configs/rcar-gen3-common.h, bootm_size
        (0x48000000, 0x58000000, "kernel, DTB and initrd as U-Boot loads them"),
        # TF-A, same file, LOSSY_ST_ADDR0 and LOSSY_END_ADDR0
        (0x54000000, 0x57000000, "lossy decompression"),
        # renesas-rcar/linux-bsp, r8a77951-salvator-xs.dts, linux,adsp@57000000
        (0x57000000, 0x58000000, "audio DSP"),
    ],
    "renesas,r8a779g0": [
        # the node tfa@40000000 of mainline's r8a779g3-sparrow-hawk.dts
        (0x40000000, 0x48000000, "secure world"),
        # U-Boot, include/configs/rcar-gen4-common.h, bootm_size
        (0x48000000, 0x58000000, "kernel, DTB and initrd as U-Boot loads them"),
        # renesas-rcar/linux-bsp, r8a779g0-whitehawk.dts, vdsp*_region and pap_region
        (0x5d000000, 0x5f400000, "vision DSPs"),
        # same file, linux,cr_region@60000000
        (0x60000000, 0x80000000, "real-time cores"),
    ],
}

# Nodes that a variant of the board adds: there must be room beside them.
ADDED = {
    "renesas,r8a7795": [
        # renesas-rcar/linux-bsp, salvator-xs_cr7_rproc.dtsi
        (0x70000000, 0x80000000, "linux,cr7@70000000"),
    ],
    "renesas,r8a779g0": [
        # the same, r8a779g0-whitehawk.dts
        (0x60000000, 0x80000000, "linux,cr_region@60000000"),
    ],
}


def span(area):
    return f"{area[0]:#x}-{area[1] - 1:#x}"


def overlap(a, b):
    return a[0] < b[1] and b[0] < a[1]


def subtract(areas, holes):
    """The parts of areas that no hole covers."""
    for hole in holes:
        left = []
        for start, end in areas:
            if not overlap((start, end), hole):
                left.append((start, end))
                continue
            if start < hole[0]:
                left.append((start, hole[0]))
            if hole[1] < end:
                left.append((hole[1], end))
        areas = left
    return areas


def merge(areas):
    merged = []
    for start, end in sorted(areas):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


class Node:
    """A node of a flat device tree, which can be changed and written again."""

    def __init__(self, name):
        self.name = name
        self.props = {}
        self.children = []

    def strings(self, name):
        return self.props.get(name, b"").decode().rstrip("\0").split("\0")

    def number(self, name):
        return int.from_bytes(self.props[name], "big")

    def enabled(self):
        return self.strings("status")[0] in ("", "okay", "ok")

    def child(self, name):
        return next((c for c in self.children if c.name == name), None)

    def flatten(self, strings):
        out = u32(BEGIN_NODE) + padded(self.name.encode() + b"\0")
        for name, value in self.props.items():
            entry = name.encode() + b"\0"
            if entry not in strings:
                strings += entry
            out += u32(PROP, len(value), strings.index(entry)) + padded(value)
        return out + b"".join(c.flatten(strings) for c in self.children) + u32(END_NODE)


BEGIN_NODE, END_NODE, PROP, NOP, END = 1, 2, 3, 4, 9
MAGIC = 0xd00dfeed


def u32(*numbers):
    return b"".join(n.to_bytes(4, "big") for n in numbers)


def u64(*numbers):
    return b"".join(n.to_bytes(8, "big") for n in numbers)


def padded(data):
    return data + bytes(-len(data) % 4)


class Board:
    """A compiled device tree, and what it says of memory."""

    def __init__(self, data):
        self.data = data
        if len(data) < 40 or self.word(0) != MAGIC:
            raise ValueError("not a compiled device tree")
        self.memreserve = []
        at = self.word(16)
        while self.word(at + 8, 8):
            start = self.word(at, 8)
            self.memreserve.append((start, start + self.word(at + 8, 8), "/memreserve/"))
            at += 16
        self.root = self.unflatten()
        self.address_cells = self.root.number("#address-cells")
        self.size_cells = self.root.number("#size-cells")
        self.compatible = self.root.strings("compatible")
        self.ram = merge(a for n in self.root.children
                         if n.strings("device_type") == ["memory"] and n.enabled()
                         for a in self.areas(n, "reg"))
        self.reserved = self.root.child("reserved-memory")

    def word(self, at, size=4):
        return int.from_bytes(self.data[at:at + size], "big")

    def string(self, at):
        return self.data[at:self.data.index(b"\0", at)].decode()

    def unflatten(self):
        at, strings = self.word(8), self.word(12)
        above = [Node("")]
        while self.word(at) != END:
            tag, at = self.word(at), at + 4
            if tag == BEGIN_NODE:
                node = Node(self.string(at))
                above[-1].children.append(node)
                above.append(node)
                at += len(padded(node.name.encode() + b"\0"))
            elif tag == END_NODE:
                above.pop()
            elif tag == PROP:
                size, name = self.word(at), self.string(strings + self.word(at + 4))
                above[-1].props[name] = self.data[at + 8:at + 8 + size]
                at += 8 + size + -size % 4
            elif tag != NOP:
                raise ValueError(f"token {tag:#x} in the device tree")
        return above[0].children[0]

    def flatten(self):
        strings = bytearray()
        struct = self.root.flatten(strings) + u32(END)
        rsvmap = b"".join(u64(s, e - s) for s, e, _ in self.memreserve) + u64(0, 0)
        at_struct = 40 + len(rsvmap)
        at_strings = at_struct + len(struct)
        return u32(MAGIC, at_strings + len(strings), at_struct, at_strings, 40, 17, 16,
                   self.word(28), len(strings), len(struct)) + rsvmap + struct + strings

    def areas(self, node, name):
        """A list of address and size, as start and end."""
        value = node.props.get(name, b"")
        address, step = 4 * self.address_cells, 4 * (self.address_cells + self.size_cells)
        if len(value) % step:
            raise ValueError(f"{node.name}: {name} is not a list of address and size")
        found = []
        for at in range(0, len(value), step):
            start = int.from_bytes(value[at:at + address], "big")
            found.append((start, start + int.from_bytes(value[at + address:at + step], "big")))
        return found

    def lookup(self, table):
        return [a for c in self.compatible for a in table.get(c, [])]


def place(ranges, ram, taken, size, align):
    """Where memblock puts it: the first range with room, and there the top."""
    for window in ranges:
        for start, end in reversed(subtract(clip(ram, window), taken)):
            base = (end - size) // align * align
            if base >= start:
                return base
    return None


def clip(areas, window):
    return [(max(s, window[0]), min(e, window[1])) for s, e in areas if overlap((s, e), window)]


def may_cover(free, area, size, align):
    """True if a region placed anywhere in free could cover a byte of area."""
    low = max(free[0], area[0] - size + 1)
    high = min(free[1] - size, area[1] - 1)
    return -(-low // align) * align <= high


def check(board):
    """Everything that is wrong, and what is worth knowing, as text."""
    wrong, notes = [], []
    nodes = board.reserved.children if board.reserved else []
    ours = [n for n in nodes if COMPATIBLE in n.strings("compatible")]
    if len(ours) != 1:
        return [f"{len(ours)} nodes with compatible {COMPATIBLE} in /reserved-memory, not 1"], []
    if not board.lookup(FIRMWARE):
        return [f"no table of firmware's memory for {board.compatible}"], []

    node = ours[0]
    if (board.reserved.number("#address-cells") != board.address_cells or
            board.reserved.number("#size-cells") != board.size_cells or
            board.reserved.props.get("ranges") != b""):
        wrong.append("/reserved-memory: cells differ from the root's, or ranges is not empty")
    if node.name.split("@")[0] != HEAP:
        wrong.append(f"the node is called {node.name}, so the heap is not {HEAP}")
    if not node.enabled():
        wrong.append("the node is disabled")
    if node.strings("compatible") != [COMPATIBLE]:
        wrong.append("a second compatible")
    if "reusable" not in node.props:
        wrong.append("not reusable")
    for extra in sorted(set(node.props) - PROPERTIES):
        wrong.append(f"forbidden property {extra}")

    others = []
    for other in nodes:
        if other is node or not other.enabled():
            continue
        others += [(*a, other.name) for a in board.areas(other, "reg")]
        if "reg" not in other.props:
            wrong.append(f"{other.name}: has no reg, so its place cannot be told")
    hidden = board.memreserve + board.lookup(FIRMWARE)

    judge = check_fixed if "reg" in node.props else check_window
    region = judge(board, node, others, hidden, wrong)
    if region:
        low = clip(board.ram, (0, LIMIT))
        total, left = amount(low), amount(subtract(low, [region, *others]))
        notes.append(f"{board.root.strings('model')[0]}: Linux puts "
                     f"{amount([region]) // MIB} MiB at {span(region)}; of {total // MIB} MiB "
                     f"below 4 GiB {left // MIB} MiB remain for any page")
    return wrong, notes


def amount(areas):
    return sum(end - start for start, end in areas)


def check_fixed(board, node, others, hidden, wrong):
    areas = board.areas(node, "reg")
    region = areas[0]
    if len(areas) > 1:
        wrong.append("reg has several entries, of which Linux uses the first")
    if not any(s <= region[0] and region[1] <= e for s, e in board.ram):
        wrong.append(f"{span(region)} is not RAM")
    if region[1] > LIMIT:
        wrong.append(f"{span(region)} is not below 4 GiB")
    if region[0] % ALIGN or region[1] % ALIGN:
        wrong.append(f"{span(region)} is not aligned to 2 MiB")
    for area in others + hidden:
        if overlap(region, area):
            wrong.append(f"{span(region)} overlaps {area[2]} {span(area)}")
    return region


def check_window(board, node, others, hidden, wrong):
    """Every place Linux may choose has to be right, not only the likely one."""
    for name, cells in (("size", board.size_cells), ("alignment", board.address_cells)):
        if len(node.props.get(name, b"")) != 4 * cells:
            wrong.append(f"{name} is missing or has the wrong number of cells")
            return None
    size, align = node.number("size"), node.number("alignment")
    if not size or size % ALIGN:
        wrong.append(f"size {size:#x} is not a multiple of 2 MiB")
    if align < ALIGN or align & (align - 1):
        wrong.append(f"alignment {align:#x} is not 2 MiB or a larger power of 2")
        return None
    ranges = board.areas(node, "alloc-ranges")
    if not ranges:
        wrong.append("size without alloc-ranges, so Linux would take the top of RAM")
        return None
    for window in ranges:
        if not any(s <= window[0] and window[1] <= e for s, e in board.ram):
            wrong.append(f"alloc-ranges {span(window)} is not RAM")
        if window[1] > LIMIT:
            wrong.append(f"alloc-ranges {span(window)} is not below 4 GiB")
        for free in subtract(clip(board.ram, window), others):
            for area in hidden:
                if may_cover(free, area, size, align):
                    wrong.append(f"alloc-ranges {span(window)} overlaps {area[2]} {span(area)}")
    base = place(ranges, board.ram, others, size, align)
    if base is None:
        wrong.append(f"no room for {size // MIB} MiB in alloc-ranges")
        return None
    for area in board.lookup(ADDED):
        if place(ranges, board.ram, others + [area], size, align) is None:
            wrong.append(f"no room for {size // MIB} MiB beside {area[2]}")
    return base, base + size


def fix(board, node, base):
    """Give the node a fixed place."""
    size = node.number("size")
    for name in ("size", "alignment", "alloc-ranges"):
        del node.props[name]
    node.props["reg"] = u64(base, size)


def set_window(board, node, start, end):
    node.props["alloc-ranges"] = u64(start, end - start)


def add_node(board, name, props):
    node = Node(name)
    node.props = props
    board.reserved.children.append(node)


def add_neighbour(board, start, end):
    add_node(board, f"neighbour@{start:x}", {"reg": u64(start, end - start)})


def fix_on_neighbour(board, node):
    start = likely(board, node)
    add_neighbour(board, start + 16 * MIB, start + 17 * MIB)
    fix(board, node, start)


def add_memreserve(board, node):
    start = likely(board, node) + MIB
    board.memreserve.append((start, start + MIB, ""))


def likely(board, node):
    return place(board.areas(node, "alloc-ranges"), board.ram, [], node.number("size"), ALIGN)


def window(board, node):
    return board.areas(node, "alloc-ranges")[0]


def high(board):
    return next(start for start, _ in board.ram if start >= LIMIT)


# how: (what check has to say, what to do to the board and its node)
BREAKS = {
    "no node": (f"0 nodes with compatible {COMPATIBLE}",
                lambda b, n: b.reserved.children.remove(n)),
    "two nodes": (f"2 nodes with compatible {COMPATIBLE}",
                  lambda b, n: add_node(b, "second", n.props)),
    "other SoC": ("no table of firmware's memory",
                  lambda b, n: b.root.props.update(compatible=b"renesas,other\0")),
    "other name": ("so the heap is not rcar", lambda b, n: setattr(n, "name", "media")),
    "no-map": ("forbidden property no-map", lambda b, n: n.props.update({"no-map": b""})),
    "default area": ("forbidden property linux,cma-default",
                     lambda b, n: n.props.update({"linux,cma-default": b""})),
    "shared-dma-pool": ("a second compatible", lambda b, n: n.props.update(
        compatible=f"{COMPATIBLE}\0shared-dma-pool\0".encode())),
    "not reusable": ("not reusable", lambda b, n: n.props.pop("reusable")),
    "disabled": ("the node is disabled", lambda b, n: n.props.update(status=b"disabled\0")),
    "ranges of the parent": ("/reserved-memory: cells",
                             lambda b, n: b.reserved.props.pop("ranges")),
    "odd size": ("is not a multiple of 2 MiB", lambda b, n: n.props.update(size=u64(255 * MIB))),
    "no alignment": ("alignment is missing", lambda b, n: n.props.pop("alignment")),
    "alignment of 4 KiB": ("alignment 0x1000 is not 2 MiB",
                           lambda b, n: n.props.update(alignment=u64(4096))),
    "no alloc-ranges": ("size without alloc-ranges", lambda b, n: n.props.pop("alloc-ranges")),
    "window above 4 GiB": ("is not below 4 GiB",
                           lambda b, n: set_window(b, n, high(b), high(b) + 512 * MIB)),
    "window without RAM": ("is not RAM", lambda b, n: set_window(b, n, 0xd0000000, 0xf0000000)),
    "window beyond RAM": ("is not RAM", lambda b, n: set_window(b, n, window(b, n)[0], LIMIT)),
    "window on firmware": ("overlaps kernel, DTB and initrd",
                           lambda b, n: set_window(b, n, 0x56000000, window(b, n)[1])),
    "window too small": ("no room for 256 MiB in alloc-ranges", lambda b, n: set_window(
        b, n, window(b, n)[0], window(b, n)[0] + 255 * MIB)),
    "window occupied": ("no room for 256 MiB in alloc-ranges",
                        lambda b, n: add_neighbour(b, *window(b, n))),
    "window of a real-time core": ("no room for 256 MiB beside linux,cr", lambda b, n: set_window(
        b, n, *b.lookup(ADDED)[0][:2])),
    "another node without place": ("has no reg", lambda b, n: add_node(
        b, "second", {"size": u64(MIB)})),
    "memreserve in the window": ("overlaps /memreserve/", add_memreserve),
    "fixed twice": ("reg has several entries", lambda b, n: n.props.update(
        reg=u64(likely(b, n), 256 * MIB, 0x60000000, MIB))),
    "fixed above 4 GiB": ("is not below 4 GiB", lambda b, n: fix(b, n, high(b))),
    "fixed without RAM": ("is not RAM", lambda b, n: fix(b, n, 0xd0000000)),
    "fixed half beyond RAM": ("is not RAM", lambda b, n: fix(b, n, b.ram[0][1] - 128 * MIB)),
    "fixed, misaligned": ("is not aligned to 2 MiB",
                          lambda b, n: fix(b, n, likely(b, n) - MIB)),
    "fixed on another node": ("overlaps neighbour@", fix_on_neighbour),
    "fixed on firmware": ("overlaps kernel, DTB and initrd",
                          lambda b, n: fix(b, n, 0x50000000)),
}


def load(path):
    with open(path, "rb") as f:
        return Board(f.read())


def check_broken(path):
    """Break the region in each way, and tell whether check() sees it."""
    if check(load(path))[0]:
        print("missed", "none made, as the board itself is wrong", "", sep="\t")
        return True
    missed = False
    for how, (says, breaks) in BREAKS.items():
        board = load(path)
        breaks(board, board.reserved.child(HEAP))
        wrong, _ = check(Board(board.flatten()))
        seen = any(says in text for text in wrong)
        print("seen" if seen else "missed", how, "; ".join(wrong), sep="\t")
        missed |= not seen
    return missed


def main(args):
    try:
        if len(args) == 2 and args[0] == "check":
            wrong, notes = check(load(args[1]))
            print("\n".join(wrong + notes))
            return 1 if wrong else 0
        if len(args) == 2 and args[0] == "broken":
            return 1 if check_broken(args[1]) else 0
        if len(args) in (3, 4) and args[0] == "copy":
            board = load(args[1])
            for how in args[3:]:
                BREAKS[how][1](board, board.reserved.child(HEAP))
            with open(args[2], "wb") as f:
                f.write(board.flatten())
            return 0
    except (OSError, ValueError, KeyError) as error:
        print(f"{args[1]}: {error!r}")
        return 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
