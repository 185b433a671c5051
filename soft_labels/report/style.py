"""Colours and type, for screens light and dark and for print; the colours of what is drawn are those of the palette."""

from typing import Literal

from soft_labels.palette import ANNOTATORS, ARMS


def _colours(ground: Literal["light", "dark"]) -> str:
    """The palette as CSS variables."""
    named = {"annotators": ANNOTATORS, **{f"arm{place}": colour for place, colour in enumerate(ARMS)}}
    return "".join(f"--{name}:{getattr(colour, ground)};" for name, colour in named.items())


_LIGHT = f"--ground:#fff;--ink:#1a1a1a;--muted:#555;--rule:#d4d4d4;--tint:#f3f5f7;{_colours('light')}"
_DARK = f"--ground:#15181b;--ink:#e9e9e7;--muted:#adb2b8;--rule:#3d434a;--tint:#1f2429;{_colours('dark')}"
_ARMS = "".join(
    f"svg .arm{place}{{fill:var(--arm{place})}}\n"
    f"svg .line{place}{{fill:none;stroke:var(--arm{place});stroke-width:2}}\n"
    for place in range(len(ARMS))
)
THEMES = f""":root{{color-scheme:light dark;{_LIGHT}}}
@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}
@media print{{:root{{color-scheme:light;{_LIGHT}}}}}
"""
FIGURES = (
    _ARMS
    + """svg{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
svg text{fill:var(--ink)}
svg .head{font-weight:600;font-size:14px}
svg .strong{font-weight:600}
svg .small{font-size:11px}
svg .quote{fill:var(--muted)}
svg .ground,svg .gap{fill:var(--ground)}
svg .annotators{fill:var(--annotators)}
svg .ringed{stroke:var(--ink);stroke-width:2}
svg .grid{stroke:var(--rule)}
svg .axis{stroke:var(--muted)}
svg .mean{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:5 4}
"""
)
PAGE = """body{background:var(--ground);color:var(--ink);margin:0 auto;max-width:78rem;padding:1.5rem;
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:1.7rem;line-height:1.25}
h2{border-bottom:1px solid var(--rule);font-size:1.3rem;margin-top:2.6rem;padding-bottom:.25rem}
p,li{max-width:48rem}
a{color:var(--annotators)}
nav ul{display:flex;flex-wrap:wrap;gap:.3rem 1.4rem;list-style:none;padding:0}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.82rem;font-variant-numeric:tabular-nums;margin-top:1.6rem}
caption,figcaption strong{font-size:1rem;font-weight:600;text-align:left}
caption{padding-bottom:.4rem;white-space:nowrap}
th,td{border-bottom:1px solid var(--rule);padding:.28rem .45rem;text-align:left;white-space:nowrap}
th{border-bottom:2px solid var(--muted);vertical-align:bottom;white-space:normal}
.number{text-align:right}
.paper{background:var(--tint)}
.note{color:var(--muted);font-size:.86rem;margin:.5rem 0;max-width:60rem}
figure{margin:2rem 0 0}
figure svg{display:block;height:auto;margin-top:.8rem;max-width:60rem;width:100%}
@page{size:A4 landscape;margin:12mm}
@media print{nav{display:none}html{font-size:12px}body{font-size:13px;max-width:none;padding:0}
table{font-size:10px}th,td{padding:.15rem .35rem}
tr,figure,table{break-inside:avoid}h2,caption{break-after:avoid}.wide{overflow:visible}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""
