"""The look of a page: one style sheet, light and dark, narrow and wide, screen and paper."""

from __future__ import annotations

from seamwise.figures.svg import DARK_GROUND, DARK_INK, FONT, GROUND, INK

STYLE = (
    f":root{{color-scheme:light dark;--ink:{INK};--ground:{GROUND};--soft:#f5f7f9;--edge:#d9dee4;--quiet:#52606d;"
    f"--accent:#0067a3}}\n"
    f"@media screen and (prefers-color-scheme:dark){{:root{{--ink:{DARK_INK};--ground:{DARK_GROUND};--soft:#20262e;"
    f"--edge:#38414c;--quiet:#a3aebb;--accent:#6cc0f0}}}}\n"
    f"body{{margin:0;background:var(--ground);color:var(--ink);font:16px/1.6 {FONT}}}\n"
    """
main{max-width:76rem;margin:0 auto;padding:2.5rem clamp(1rem,4vw,3rem) 4rem}
header{border-bottom:1px solid var(--edge);margin-bottom:1.5rem;padding-bottom:.75rem}
h1{font-size:1.9rem;line-height:1.25;margin:0 0 .5rem;font-weight:650;overflow-wrap:anywhere}
h2{font-size:1.3rem;line-height:1.3;margin:2.8rem 0 .6rem;font-weight:650}
h3{font-size:1.05rem;margin:1.8rem 0 .5rem;font-weight:600}
p{max-width:46rem;margin:.6rem 0;overflow-wrap:anywhere}
a{color:var(--accent)}
nav{background:var(--soft);border-radius:8px;padding:.8rem 1.2rem;margin:1.5rem 0}
nav h2{font-size:.85rem;margin:0;color:var(--quiet);font-weight:600}
nav ol{margin:.3rem 0 0;padding-left:1.3rem;columns:18rem auto}
.wide{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;font-size:.93rem;font-variant-numeric:tabular-nums}
.caption{color:var(--quiet);font-size:.92rem}
th,td{padding:.45rem .9rem;border-bottom:1px solid var(--edge);text-align:left;vertical-align:top}
th:first-child,td:first-child{padding-left:.2rem}
thead th{border-bottom:2px solid var(--edge);color:var(--quiet);font-weight:600;vertical-align:bottom;min-width:4.5em}
tbody tr:hover{background:var(--soft)}
th.number,td.number{text-align:right}
td.number{white-space:nowrap}
td:first-child{min-width:6rem;max-width:22rem;overflow-wrap:break-word}
figure{margin:1.4rem 0}
figure svg{max-width:100%;height:auto;display:block}
figure .charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,var(--column)),1fr));gap:1rem 1.4rem;
align-items:start}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin-bottom:.8rem}
.chart{overflow-x:auto}
.chart svg{max-width:none}
figcaption{color:var(--quiet);font-size:.92rem;max-width:46rem;margin-top:.6rem;overflow-wrap:anywhere}
.gallery th,.gallery td{border:0;padding:.3rem .5rem .3rem 0;min-width:0}
.gallery thead th{border:0;max-width:24rem;overflow-wrap:break-word}
.gallery tbody th{font-weight:500;min-width:5rem;max-width:9rem;overflow-wrap:break-word}
.gallery img{display:block;min-width:9rem;max-width:min(24rem,70vw);height:auto;border-radius:3px}
.swatches span{display:inline-flex;align-items:center;margin-right:1.1rem;font-size:.92rem}
.swatches i{width:.85em;height:.85em;border-radius:2px;margin-right:.4em}
dl{margin:.6rem 0;display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,16rem),1fr));gap:0 1.6rem;
font-size:.93rem}
dl div{display:flex;justify-content:space-between;gap:1rem;border-bottom:1px solid var(--edge);padding:.3rem 0}
dt{color:var(--quiet);overflow-wrap:anywhere}
dd{margin:0;text-align:right;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
pre{background:var(--soft);border-radius:6px;padding:.8rem 1rem;overflow-x:auto;font-size:.88rem;white-space:pre-wrap;
overflow-wrap:anywhere}
.note{background:var(--soft);border-left:3px solid var(--accent);border-radius:0 6px 6px 0;padding:.4rem 1.1rem;
margin:1rem 0;max-width:46rem}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media print{
body{font-size:10.5pt}main{max-width:none;padding:0}nav{display:none}
svg,tr,.note{break-inside:avoid}h2,h3{break-after:avoid}.wide{overflow:visible}a{color:inherit}
figure .charts{grid-template-columns:repeat(2,1fr)}.chart svg{max-width:100%}
.gallery{table-layout:fixed;width:100%}.gallery img{min-width:0;width:100%}
}
"""
)
