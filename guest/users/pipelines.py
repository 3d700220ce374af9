#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Run the pipelines of the GStreamer plugin's README, and verify what they do.

usage: pipelines.py README OUT [NUMBER...]

Each command is the README's, word for word, and run by a user of group video. What
the kernel is asked for meanwhile is counted by its trace events, which no library
evades. What is on the display is looked at by watch-display, frame by frame, and each
has to be one that a reference gives without a heap. OUT/NUMBER.json has the figures,
OUT/NUMBER.png what was seen last. Prints TAP. Root only; the kernel has to have vivid,
vicodec and vkms, and udev's rules to be in force.
"""

import contextlib
import hashlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import traceback

TRACING = "/sys/kernel/tracing/"
CAMERA, OUTPUT = "/dev/video4", "/dev/video5"
LIMIT = 150  # seconds for a pipeline
USER, VIDEO = 1000, 44
GST = "/usr/lib/aarch64-linux-gnu/gstreamer-1.0/"
# Of all that there are, so that the first to look at them need not look at 250
PLUGINS = ("app coreelements debugutilsbad gdp kms libcamera matroska png rawparse "
           "typefindfunctions video4linux2 videoconvertscale videoparsersbad "
           "videotestsrc vpx").split()

# What is counted besides the events of dma-buf. "memory" is of struct v4l2_buffer.
PROBES = {
    "queue": "vb2_qbuf memory=+60(%x2):u32",
    "expbuf": "vb2_core_expbuf",
    "prime": "drm_gem_prime_fd_to_handle",
    "dumb": "drm_gem_mmap",
}
EVENTS = ("dma_buf_export", "dma_buf_mmap_internal", "dma_buf_dynamic_attach")
DMABUF = "memory=4"  # V4L2_MEMORY_DMABUF

# Tasks that only look at what a pipeline does, as the kernel cuts their names
WATCHERS = ("watch-display", "v4l2-ctl")

# An event: its task, which may have blanks in its name, its name and what it says
EVENT = re.compile(r"^\s*(.+)-\d+\s+\[\d+\].*?:\s(\w+):\s(.*)$")
FRAME_720P = 1280 * 720
POSITIONS = 1280 // 16 # of the camera's picture, which moves so many pixels at a time


class Unusable(Exception):
    """A reference, or what looks at a pipeline, does not work."""


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def read(path):
    with open(path, errors="replace") as file:
        return file.read()


def sh(command):
    """What a command prints. It is root's, and nothing of it is counted."""
    done = subprocess.run(["bash", "-ec", command], text=True, timeout=LIMIT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise Unusable(f"{command}\nended with status {done.returncode}:\n"
                       f"{done.stdout}{done.stderr}")
    return done.stdout


def md5(data):
    return hashlib.md5(data).hexdigest()


class Trace:
    """What the kernel did between enter and exit for others than the watchers."""

    def __enter__(self):
        write(TRACING + "tracing_on", "0")
        write(TRACING + "buffer_size_kb", "8192")
        write(TRACING + "kprobe_events", "".join(f"p:users/{name} {probe}\n"
                                                 for name, probe in PROBES.items()))
        for name in PROBES:
            write(TRACING + f"events/users/{name}/enable", "1")
        for name in EVENTS:
            write(TRACING + f"events/dma_buf/{name}/enable", "1")
        write(TRACING + "trace", "")
        write(TRACING + "tracing_on", "1")
        return self

    def __exit__(self, *_):
        write(TRACING + "tracing_on", "0")
        self.look()
        write(TRACING + "events/enable", "0")
        write(TRACING + "kprobe_events", "")

    def look(self):
        text = read(TRACING + "trace")
        there, ever = re.search(r"entries-in-buffer/entries-written: (\d+)/(\d+)", text).groups()
        self.complete = there == ever
        self.events = [match.groups() for match in map(EVENT.match, text.splitlines())
                       if match and match[1] not in WATCHERS]

    def count(self, name, word=""):
        return sum(event == name and word in text for _, event, text in self.events)


class Watch:
    """The frames that the display shows between enter and exit."""

    def __init__(self, raw):
        self.raw = raw

    def __enter__(self):
        self.file = open("watched", "w")
        self.process = subprocess.Popen(["watch-display", "vkms", self.raw], stdout=self.file)
        # Until then it may own the card.
        end = time.monotonic() + 60
        while "ready\n" not in read("watched"):
            if self.process.poll() is not None or time.monotonic() > end:
                raise Unusable("watch-display does not get ready")
            time.sleep(0.05)
        return self

    def frames(self):
        """For each [MD5, exporter, inode, format, size]"""
        return [line.split() for line in read("watched").splitlines() if line.count(" ") == 4]

    def __exit__(self, *_):
        self.process.terminate()
        if self.process.wait():
            raise Unusable(f"watch-display ended with status {self.process.returncode}")
        self.file.close()


# ---- references ----

def frames_of(command, runner=""):
    """MD5 of each frame of a pipeline without a heap."""
    text = sh(f"{runner}gst-launch-1.0 {command} ! checksumsink sync=false hash=md5")
    return re.findall(r"^[\d:.]+ ([0-9a-f]{32})$", text, re.M)


def sample_of(frame):
    """Enough of a frame's luma and chroma to tell it from others."""
    return frame[::1999]


def raw_frames(command, size):
    """The frames that a command writes to its stdout, one by one."""
    with subprocess.Popen(["timeout", str(LIMIT), *command], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        while len(frame := process.stdout.read(size)) == size:
            yield frame
        process.terminate()


def reset_camera():
    """A picture that moves, without the text in it that says when it was taken."""
    sh(f"v4l2-ctl -d {CAMERA} --set-input 3")
    sh(f"v4l2-ctl -d {CAMERA} -c hdmi_000_0_is_connected_to=0,osd_text_mode=2,horizontal_movement=6")
    sh(f"v4l2-ctl -d {OUTPUT} --set-output 1")


_positions = {}


def camera_positions():
    """All that the camera's picture passes through, in memory that its driver allocated:
    a sample of each frame by its MD5, in their order."""
    if len(_positions) == POSITIONS:
        return _positions
    # It leaves out some when it is late.
    for frame in raw_frames(["v4l2-ctl", "-d", CAMERA,
                             "--set-fmt-video=width=1280,height=720,pixelformat=NV12",
                             "--stream-mmap", "--stream-count=1000", "--stream-to=-"],
                            FRAME_720P * 3 // 2):
        _positions.setdefault(md5(frame), sample_of(frame))
        if len(_positions) == POSITIONS:
            return _positions
    raise Unusable(f"the camera's picture has {len(_positions)} positions of {POSITIONS}")


def output_frames():
    """The ball is back where it was after 200 frames."""
    frames = frames_of("videotestsrc pattern=ball motion=hsweep num-buffers=400 "
                       "! video/x-raw,format=YUY2,width=1280,height=720,framerate=60/1,"
                       "colorimetry=bt601")
    if len(frames) != 400 or frames[:200] != frames[200:]:
        raise Unusable(f"the test picture does not repeat: {len(set(frames))} positions")
    return frames


def decoded_frames():
    return frames_of("filesrc location=clip.gdp ! gdpdepay ! v4l2fwhtdec")


def clip_frames():
    return frames_of("filesrc location=clip.webm ! matroskademux ! vp8dec")


def libcamera_frames():
    """Without a heap libcamera takes its memory from udmabuf. Its source has no number of
    frames after which it ends, and may hang when the end comes from downstream."""
    return frames_of("libcamerasrc camera-name=Virtual0 "
                     "! video/x-raw,format=NV12,width=640,height=480",
                     "unshare -m sh -c 'mount -t tmpfs none /dev/dma_heap; "
                     "timeout -k 5 -s INT 12 \"$@\" || [ $? -eq 124 -o $? -eq 137 ]' sh ")


def painted_frames():
    """What the examples paint: luma that gets brighter, no colour"""
    luma, chroma = FRAME_720P, bytes([128]) * (FRAME_720P // 2)
    return [md5(bytes([16 + n]) * luma + chroma) for n in range(120)]


# ---- the pipelines ----

class Pipeline:
    """One that ends on the display. Others say what is different.

    heap       where all frames have to be
    importers  devices that attach to each of its buffers
    by_cpu     the CPU paints the frames, so that it has to map them
    maps_anew  it does so for each frame, not once for each buffer
    coded      V4L2 queues memory of the drivers, too, for what is coded
    wanted     frames to look at; then it is ended as Ctrl-C does, unless it ends by itself
    """
    by_cpu = False
    wanted = 40
    ends = False
    maps_anew = False
    coded = False

    def __init__(self, title, heap, importers, reference, **more):
        self.title, self.heap, self.importers = title, heap, importers
        self.reference = reference
        self.__dict__.update(more)

    def copies(self, content, figures):
        """Frames that were shown from, or queued in, other memory than the heap's, to where
        the CPU would have had to copy them. Where no CPU paints, it is to map none."""
        if figures["heap_mappings"] and not self.by_cpu or figures["dumb_buffer_mappings"]:
            return content["frames"]
        return content["not_in_heap"]

    def enough(self, trace, watch):
        return not self.ends and len(watch.frames()) > self.wanted

    def content(self, watch):
        """What was seen: frames, and a list of what is wrong with them."""
        reference = set(self.reference())
        # kmssink sets the mode with a black framebuffer of the card's own.
        seen = watch.frames()
        if seen and seen[0][1] == "drm":
            seen = seen[1:]
        unlike = [frame for frame in seen if frame[0] not in reference]
        elsewhere = {frame[1] for frame in seen} - {self.heap}
        distinct = len({frame[0] for frame in seen})
        wrong = []
        if len(seen) < self.wanted:
            wrong.append(f"{len(seen)} frames were seen, {self.wanted} are wanted")
        if unlike:
            wrong.append(f"{len(unlike)} of {len(seen)} frames are none of the "
                         f"{len(reference)} of the reference, first {unlike[0]}")
        if elsewhere:
            wrong.append(f"frames on the display are memory of {elsewhere}")
        if distinct < min(len(reference), self.wanted) / 2:
            wrong.append(f"only {distinct} frames are different")
        return {"frames": len(seen), "compared": len(seen), "unlike_reference": len(unlike),
                "distinct": distinct, "not_in_heap": sum(f[1] != self.heap for f in seen)}, wrong


class ToFile(Pipeline):
    """The camera's frames through an encoder, decoded without a heap afterwards."""
    ends = True
    wanted = 120
    coded = True

    def copies(self, content, figures):
        """The camera queues each, and the encoder does."""
        return max(super().copies(content, figures),
                   2 * content["frames"] - figures["dmabuf_queues"])

    def content(self, watch):
        positions = list(self.reference().values())
        found = [self.nearest(sample_of(frame), positions) for frame in raw_frames(
            ["gst-launch-1.0", "-q", "filesrc", "location=clip.gdp", "!", "gdpdepay", "!",
             "v4l2fwhtdec", "!", "videoconvert", "!", "video/x-raw,format=NV12", "!", "fdsink"],
            FRAME_720P * 3 // 2)]
        stills = sum(a[1] == b[1] for a, b in zip(found, found[1:]))
        unlike = sum(psnr < 30 for psnr, _ in found)
        wrong = []
        if len(found) != self.wanted:
            wrong.append(f"{len(found)} frames in the file, {self.wanted} are wanted")
        if unlike:
            wrong.append(f"{unlike} frames have a PSNR of less than 30 dB")
        if stills:
            wrong.append(f"{stills} frames show the same as the one before")
        return {"frames": len(found), "compared": len(found), "unlike_reference": unlike,
                "distinct": len({at for _, at in found}), "not_in_heap": 0,
                "psnr_min_db": round(min(found)[0], 1) if found else None}, wrong

    @staticmethod
    def nearest(sample, others):
        """PSNR to the most similar of the others, and which that is"""
        square, at = min((sum((a - b) ** 2 for a, b in zip(sample, other)), i)
                         for i, other in enumerate(others))
        return 10 * math.log10(255 ** 2 * len(sample) / max(square, 1)), at


class ToOutput(Pipeline):
    """To a video output, whose other end the camera looks at."""
    wanted = 120
    # The camera looks faster than the CPU of a guest paints: until so many are different,
    # but at no more than the second number
    different, most = 10, 1200

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.seen = []

    def copies(self, content, figures):
        return max(super().copies(content, figures), figures["other_queues"])

    def enough(self, trace, watch):
        trace.look()
        if trace.count("queue", DMABUF) < 8:
            return False
        sh(f"v4l2-ctl -d {CAMERA} -c hdmi_000_0_is_connected_to=2")
        for frame in raw_frames(
                ["v4l2-ctl", "-d", CAMERA,
                 "--set-fmt-video=width=1280,height=720,pixelformat=YUYV",
                 "--stream-mmap", f"--stream-count={self.most}", "--stream-to=-"],
                FRAME_720P * 2):
            self.seen.append(md5(frame))
            if len(self.seen) >= self.wanted and len(set(self.seen)) >= self.different:
                break
        return True

    def content(self, watch):
        reference = set(self.reference())
        unlike = sum(frame not in reference for frame in self.seen)
        distinct = len(set(self.seen))
        wrong = []
        if len(self.seen) < self.wanted:
            wrong.append(f"{len(self.seen)} frames were seen, {self.wanted} are wanted")
        if unlike:
            wrong.append(f"{unlike} frames are none of the {len(reference)} of the reference")
        if distinct < self.different:
            wrong.append(f"of {len(self.seen)} frames only {distinct} are different")
        return {"frames": len(self.seen), "compared": len(self.seen), "unlike_reference": unlike,
                "distinct": distinct, "not_in_heap": 0}, wrong


PIPELINES = {
    1: Pipeline("camera to display", "rcar", ("vivid", "vkms"), camera_positions),
    2: ToFile("camera to encoder to file", "rcar", ("vivid",), camera_positions),
    3: Pipeline("file to decoder to display", "rcar", ("vkms",), decoded_frames, ends=True,
                wanted=40, coded=True),
    4: ToOutput("test picture to video output", "rcar", ("vivid",), output_frames, by_cpu=True),
    5: Pipeline("VP8 clip to software decoder to display", "rcar", ("vkms",), clip_frames,
                by_cpu=True, ends=True, wanted=20),
    6: Pipeline("camera to display, uncached", "rcar-uncached", ("vivid", "vkms"),
                camera_positions),
    7: Pipeline("libcamera to display", "rcar", ("vkms",), libcamera_frames, by_cpu=True,
                maps_anew=True, wanted=20),
    8: Pipeline("application in C to display", "rcar", ("vkms",), painted_frames, by_cpu=True,
                maps_anew=True, ends=True, wanted=40),
    9: Pipeline("application in Python to display", "rcar", ("vkms",), painted_frames,
                by_cpu=True, maps_anew=True, ends=True, wanted=40),
    10: Pipeline("camera to display, with caps of DRM", "rcar", ("vivid", "vkms"),
                 camera_positions),
}


def commands_of(readme):
    """The commands in section Pipelines, by number: indented lines below "N. "."""
    commands, number = {}, None
    for line in read(readme).split("\n## Pipelines\n")[1].split("\n## ")[0].splitlines():
        if match := re.match(r"(\d+)\. ", line):
            number = int(match[1])
        elif number and line.startswith("       "):
            commands[number] = commands.get(number, "") + line.strip() + "\n"
        elif line and not line.startswith(" "):
            number = None
    return {number: re.sub(r" *\\\n", " ", text).splitlines()
            for number, text in commands.items()}


def run(command, enough, log):
    """Run it as a user of group video, and end it when enough() says so. Its status."""
    end = time.monotonic() + LIMIT
    with open(log, "w") as file, contextlib.ExitStack() as stack:
        process = subprocess.Popen(["bash", "-c", "exec " + command], stdout=file, stderr=file,
                                   stdin=subprocess.DEVNULL, start_new_session=True,
                                   user=USER, group=USER, extra_groups=[VIDEO])
        stack.callback(end_session, process)
        while process.poll() is None and time.monotonic() < end:
            if enough():
                process.send_signal(signal.SIGINT)
                break
            time.sleep(0.05)
        try:
            return process.wait(max(end - time.monotonic(), 20))
        except subprocess.TimeoutExpired:
            return "killed, it did not end"


def end_session(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def make_picture(raw, frame, path):
    name = {"NV12": "nv12", "YU12": "i420", "YUYV": "yuy2"}[frame[3]]
    width, height = frame[4].split("x")
    sh(f"gst-launch-1.0 filesrc location={raw} ! rawvideoparse format={name} width={width} "
       f"height={height} ! videoconvert ! pngenc snapshot=true ! filesink location={path}")


def figures_of(pipeline, trace):
    heap = f"exp_name={pipeline.heap} "
    return {
        "heap_allocations": trace.count("dma_buf_export", heap),
        "other_exports": trace.count("dma_buf_export") - trace.count("dma_buf_export", heap),
        "heap_mappings": trace.count("dma_buf_mmap_internal", heap),
        "dumb_buffer_mappings": trace.count("dumb"),
        "attachments": {name: sum(event == "dma_buf_dynamic_attach" and heap in text and
                                  re.search(rf"dev_name={name}\b", text) is not None
                                  for _, event, text in trace.events)
                        for name in pipeline.importers},
        "prime_imports": trace.count("prime"),
        "dmabuf_queues": trace.count("queue", DMABUF),
        "other_queues": trace.count("queue") - trace.count("queue", DMABUF),
        "expbuf_calls": trace.count("expbuf"),
    }


def judge(pipeline, figures, shown):
    """For each claim about the figures whether it holds; so many buffers were shown"""
    buffers = figures["heap_allocations"]
    yield "its frames are in memory of the heap", buffers >= 2
    yield "no driver exports a buffer", \
        figures["expbuf_calls"] == 0 and figures["other_exports"] == 0
    for name, number in figures["attachments"].items():
        yield f"{name} imports the buffers", number >= (shown if name == "vkms" else buffers)
    if "vkms" in pipeline.importers:
        yield "the display imports by PRIME", figures["prime_imports"] >= shown > 1
    if "vivid" in pipeline.importers or pipeline.coded:
        yield "V4L2 queues dma-bufs", figures["dmabuf_queues"] >= max(buffers, shown)
    if not pipeline.coded:
        yield "V4L2 queues no other memory", figures["other_queues"] == 0
    if pipeline.maps_anew:
        yield "the CPU maps frames, to paint in them", figures["heap_mappings"] >= buffers
    elif pipeline.by_cpu:
        yield "the CPU maps a buffer once, to paint in it", figures["heap_mappings"] == buffers
    else:
        yield "the CPU maps no frame", figures["heap_mappings"] == 0
    yield "no frame is copied", figures["cpu_copies"] == 0


class Tap:
    number = failed = 0

    def result(self, passed, name, *diagnosis):
        self.number += 1
        self.failed += not passed
        print("ok" if passed else "not ok", self.number, "-", name, flush=True)
        if not passed:
            for text in diagnosis:
                for line in str(text).splitlines():
                    print("#", line)


def try_pipeline(tap, number, commands, out):
    pipeline, raw, log = PIPELINES[number], f"{number}.raw", f"{number}.log"
    started = time.monotonic()
    reset_camera()
    *before, command = commands
    # What it shows has to be made first; that is not what is counted.
    for line in before:
        if run(line, lambda: False, log):
            tap.result(False, f"{number}: {line}", read(log))
            return
    with Trace() as trace, Watch(raw) as watch:
        status = run(command, lambda: pipeline.enough(trace, watch), log)
    figures = figures_of(pipeline, trace)
    content, wrong = pipeline.content(watch)
    figures["cpu_copies"] = pipeline.copies(content, figures)

    name = f"{number}, {pipeline.title}"
    tap.result(status == 0, f"{name}: it ends without an error", status, read(log))
    tap.result(trace.complete, f"{name}: the kernel has room for all that it counts")
    shown = len({frame[2] for frame in watch.frames() if frame[1] == pipeline.heap})
    for claim, holds in judge(pipeline, figures, shown):
        tap.result(holds, f"{name}: {claim}", json.dumps(figures), read(log))
    tap.result(not wrong, f"{name}: frames are as without a heap", *wrong, read(log))
    if watch.frames():
        make_picture(raw, watch.frames()[-1], f"{out}/{number}.png")
    write(f"{out}/{number}.json", json.dumps({
        "number": number, "pipeline": pipeline.title, "command": command, "heap": pipeline.heap,
        "frames": content.pop("frames"), **figures,
        "content": {**content, "verified": not wrong},
        "seconds": round(time.monotonic() - started, 1),
    }))


def main():
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        print(__doc__)
        return 2
    readme, out, *numbers = sys.argv[1:]
    # Where the README's lines are meant to be entered
    examples = os.path.join(os.path.dirname(os.path.abspath(readme)), "examples")
    for name in ("examples", "build/examples"):
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        if not os.path.exists(name):
            os.symlink(examples, name)
    commands = commands_of(readme)
    tap = Tap()
    os.makedirs("plugins", exist_ok=True)
    for name in PLUGINS:
        if not os.path.exists(f"plugins/libgst{name}.so"):
            os.symlink(f"{GST}libgst{name}.so", f"plugins/libgst{name}.so")
    os.environ.update(GST_PLUGIN_SYSTEM_PATH=os.path.abspath("plugins"),
                      GST_REGISTRY=os.path.abspath("registry"),
                      GST_DEBUG_NO_COLOR="1", HOME=os.getcwd())
    sh("gst-inspect-1.0")
    numbers = list(map(int, numbers or PIPELINES))
    if 3 in numbers and 2 not in numbers[:numbers.index(3)]:
        numbers.insert(numbers.index(3), 2)
    for number in numbers:
        try:
            try_pipeline(tap, number, commands[number], out)
        except Exception as why: # those that come after it are to run
            tap.result(False, f"{number}, {PIPELINES[number].title}: could be looked at",
                       "".join(traceback.format_exception(why)))
    print(f"1..{tap.number}")
    return int(tap.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
