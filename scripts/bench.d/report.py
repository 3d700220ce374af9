#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Figures of scripts/bench as JSON, tables and charts."""

import argparse
import json
import pathlib

MAIN = 'instructions'
WITHOUT = 'without the changes of the core'
CLOCK = 'time on the clock'
FRAMES = {
    1382400: '720p NV12, 1.3 MiB',
    3133440: '1080p NV12, 3 MiB',
    12441600: '2160p NV12, 11.9 MiB',
    16588800: '2160p YUYV, 15.8 MiB',
    67108864: '64 MiB',
}


def key(figure):
    """What makes two figures comparable, but for the heap and the kind."""
    return figure['metric'], figure['size'], figure.get('x')


def read(path, reference):
    """All figures, with the ratio to the reference and the time on the clock."""
    figures = [json.loads(line) for line in path.open()]
    found = {(f['kind'], f['heap'], key(f)): f['value'] for f in figures}
    for figure in figures:
        other = found.get((figure['kind'], reference, key(figure)))
        if other:
            figure['ratio'] = round(figure['value'] / other, 5)
        if figure['kind'] == MAIN:
            clock = found.get((CLOCK, figure['heap'], key(figure)))
            if clock is not None and figure['unit'] == 'ns':
                figure['clock_ns'] = clock
    if any(f['kind'] == MAIN for f in figures):
        figures = [f for f in figures if f['kind'] != CLOCK]
    return figures


def amount(figure):
    """A value for people: times in microseconds."""
    if figure['unit'] != 'ns':
        return f"{figure['value']:,}"
    return f"{figure['value'] / 1000:,.1f}"


def cell(figure):
    if figure is None:
        return '—'
    text = amount(figure)
    if 'ratio' in figure and figure['unit'] == 'ns':
        text += f" ({figure['ratio']:.3g})"
    if 'clock_ns' in figure:
        text += f" · {figure['clock_ns'] / 1000:,.0f}"
    return text


def label(metric, x):
    if x is None:
        return metric
    return f"{metric}, {x} importer{'' if x == 1 else 's'}"


def table(figures, heaps, size):
    rows = {}
    for figure in figures:
        if figure['size'] == size:
            rows.setdefault(label(figure['metric'], figure.get('x')), {})[
                figure['heap']] = figure
    lines = ['| | ' + ' | '.join(heaps) + ' |', '|---' * (len(heaps) + 1) + '|']
    for name, row in rows.items():
        lines.append(f'| {name} | ' +
                     ' | '.join(cell(row.get(heap)) for heap in heaps) + ' |')
    return lines


def report(figures, environment, reference):
    heaps = list(dict.fromkeys(f['heap'] for f in figures))
    lines = ['# Cost of buffers', '']
    lines += [f'- {name}: {value}' for name, value in environment.items()]
    lines += ['', f'Times are in µs, in parentheses as a ratio to {reference}; '
              'in the guest a µs is 1000 instructions. Behind the dot is time on the '
              'clock, which is not the same twice.']
    for kind in dict.fromkeys(f['kind'] for f in figures):
        of_kind = [f for f in figures if f['kind'] == kind]
        if kind.startswith('by '):
            continue
        lines += ['', f'## {kind[0].upper()}{kind[1:]}']
        for size in sorted({f['size'] for f in of_kind}):
            lines += ['', f'### {FRAMES.get(size, f"{size} bytes")}', '']
            lines += table(of_kind, heaps, size)
    return '\n'.join(lines) + '\n'


def bars(plt, figures, heaps, size, path):
    """Each metric beside itself on the other heaps, on a logarithmic scale."""
    rows = {}
    for figure in figures:
        if figure['size'] == size and figure['unit'] == 'ns':
            rows.setdefault(label(figure['metric'], figure.get('x')), {})[
                figure['heap']] = figure['value'] / 1000
    chart, axes = plt.subplots(figsize=(11, 0.55 * len(rows) + 1.5))
    width = 0.8 / len(heaps)
    for i, heap in enumerate(heaps):
        axes.barh([y + i * width for y in range(len(rows))],
                  [row.get(heap, 0) for row in rows.values()], width, label=heap)
    axes.set_yticks([y + 0.4 - width / 2 for y in range(len(rows))], rows)
    axes.invert_yaxis()
    axes.set_xscale('log')
    axes.set_xlabel('µs (1000 instructions)')
    axes.set_title(FRAMES.get(size, f'{size} bytes'))
    axes.legend()
    save(plt, chart, path)


def curves(plt, figures, heaps, path):
    metrics = list(dict.fromkeys(f['metric'] for f in figures))
    chart, all_axes = plt.subplots(1, len(metrics), squeeze=False,
                                   figsize=(4.5 * len(metrics), 4))
    for axes, metric in zip(all_axes[0], metrics):
        for heap in heaps:
            points = sorted((f['x'], f['value'] / 1000) for f in figures
                            if f['metric'] == metric and f['heap'] == heap)
            if points:
                axes.plot(*zip(*points), marker='.', label=heap)
        name, _, by = metric.rpartition(', by ')
        axes.set_title(name)
        axes.set_xlabel('bytes' if by == 'sizes' else by)
        axes.set_ylabel('µs')
        if by == 'size':
            axes.set_xscale('log', base=2)
            axes.set_yscale('log')
        axes.set_ylim(bottom=None if by == 'size' else 0)
        axes.legend()
    save(plt, chart, path)


def save(plt, chart, path):
    chart.tight_layout()
    for kind in ('png', 'svg'):
        chart.savefig(f'{path}.{kind}', dpi=100)
    plt.close(chart)


def charts(figures, folder):
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    folder.mkdir(exist_ok=True)
    heaps = list(dict.fromkeys(f['heap'] for f in figures))
    for kind in dict.fromkeys(f['kind'] for f in figures):
        of_kind = [f for f in figures if f['kind'] == kind]
        if kind.startswith('by '):
            curves(plt, of_kind, heaps, folder / kind.replace(' ', '-'))
        elif kind in (MAIN, CLOCK):
            for size in sorted({f['size'] for f in of_kind}):
                bars(plt, of_kind, heaps, size, folder / f'{size}')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--reference', required=True,
                        help='heap that others are compared to')
    parser.add_argument('--no-charts', action='store_true')
    parser.add_argument('figures', type=pathlib.Path)
    parser.add_argument('environment', type=pathlib.Path)
    parser.add_argument('out', type=pathlib.Path)
    args = parser.parse_args()
    figures = read(args.figures, args.reference)
    environment = json.loads(args.environment.read_text())
    (args.out / 'bench.json').write_text(json.dumps(
        {'environment': environment, 'figures': figures}, indent='\t') + '\n')
    (args.out / 'bench.md').write_text(report(figures, environment, args.reference))
    if not args.no_charts:
        charts(figures, args.out / 'bench')


if __name__ == '__main__':
    main()
