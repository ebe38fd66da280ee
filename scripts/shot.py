#!/usr/bin/env python3
"""Draws what `tmux capture-pane -e -N -p` printed as a PNG.

usage: shot.py OUT.png COLUMNS ROWS [light] < captured

Needs pyte (the terminal), Pillow (the picture) and DejaVu Sans Mono, or the font that $SHOT_FONT names.
"""
import os
import sys

import pyte
from PIL import Image, ImageDraw, ImageFont

SIZE = 15
FOLDERS = ['/usr/share/fonts/truetype/dejavu', '/usr/share/fonts/TTF', '/usr/share/fonts/dejavu-sans-mono-fonts',
           '/Library/Fonts', os.path.expanduser('~/Library/Fonts')]
DARK = dict(
    black='#1d1f21', red='#cc6666', green='#8fbf5f', brown='#d7b35f', blue='#6f9fd8', magenta='#b294bb', cyan='#70c0b1',
    white='#d0d0d0', brightblack='#707880', brightred='#ff7f7f', brightgreen='#b9e07f', brightbrown='#ffe08a',
    brightblue='#9fc8ff', brightmagenta='#dcb8e6', brightcyan='#9fe8dc', brightwhite='#ffffff', default='#d0d0d0', behind='#16181a')
LIGHT = dict(
    black='#24292f', red='#cf222e', green='#116329', brown='#8a5a00', blue='#0550ae', magenta='#8250df', cyan='#1b7c83',
    white='#6e7781', brightblack='#57606a', brightred='#a40e26', brightgreen='#1a7f37', brightbrown='#633c01',
    brightblue='#218bff', brightmagenta='#a475f9', brightcyan='#3192aa', brightwhite='#8c959f', default='#24292f', behind='#ffffff')


def font(name):
    """The font, or None where no folder has it."""
    for folder in FOLDERS:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return ImageFont.truetype(path, SIZE)
    return None


def colour(name, palette, default):
    if name == 'default':
        return default
    return palette.get(name) or ('#' + name if len(name) == 6 else default)


def main():
    out, columns, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    palette = LIGHT if sys.argv[4:] == ['light'] else DARK
    own = os.environ.get('SHOT_FONT')
    plain = ImageFont.truetype(own, SIZE) if own else font('DejaVuSansMono.ttf')
    if plain is None:
        sys.exit('shot.py: install the fonts DejaVu (`apt install fonts-dejavu-core`), or name another one by SHOT_FONT')
    bold = plain if own else font('DejaVuSansMono-Bold.ttf') or plain
    # The monospaced one has no braille.
    braille = font('DejaVuSans.ttf') or plain
    screen = pyte.Screen(columns, rows)
    text = sys.stdin.buffer.read().decode('utf-8', 'replace').rstrip('\n')
    pyte.Stream(screen).feed(text.replace('\n', '\r\n'))
    wide, (ascent, descent) = round(plain.getlength('M')), plain.getmetrics()
    high = ascent + descent
    image = Image.new('RGB', (columns * wide, rows * high), palette['behind'])
    draw = ImageDraw.Draw(image)
    for y in range(rows):
        for x in range(columns):
            cell = screen.buffer[y][x]
            front = colour(cell.fg, palette, palette['default'])
            behind = colour(cell.bg, palette, palette['behind'])
            if cell.reverse:
                front, behind = behind, front
            if behind != palette['behind']:
                draw.rectangle([x * wide, y * high, (x + 1) * wide - 1, (y + 1) * high - 1], fill=behind)
            if cell.data.strip():
                face = braille if '\u2800' <= cell.data <= '\u28ff' else bold if cell.bold else plain
                draw.text((x * wide, y * high), cell.data, font=face, fill=front)
            if cell.underscore:
                draw.line([x * wide, y * high + ascent + 1, (x + 1) * wide - 1, y * high + ascent + 1], fill=front)
    # A palette makes the file a third as large. Shades are merged, and no colour of the text: the refinement keeps rare ones apart.
    image.quantize(colors=256, method=Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE).save(out, optimize=True)


main()
