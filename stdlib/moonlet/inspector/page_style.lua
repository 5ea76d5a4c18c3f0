-- The style of the page.

return [=[
:root{color-scheme:light dark;--bg:#fbfbfd;--panel:#fff;--ink:#1c2330;--dim:#667085;--line:#e3e6ec;
--accent:#3b5bdb;--bad:#c92a2a;--badbg:#fff0f0;--bar:#dbe4ff;--code:#f3f4f8}
@media(prefers-color-scheme:dark){:root{--bg:#12151b;--panel:#1a1f28;--ink:#e4e8ef;--dim:#98a2b3;
--line:#2c3340;--accent:#91a7ff;--bad:#ff8787;--badbg:#3b1d20;--bar:#2b3a67;--code:#222834}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:14px/1.45 system-ui,sans-serif}
header{display:flex;gap:16px;align-items:baseline;padding:12px 20px 0}
h1{font-size:18px;margin:0}
#summary{color:var(--dim)}
nav{display:flex;gap:2px;padding:8px 20px 0;border-bottom:1px solid var(--line)}
nav button{border:0;background:none;color:var(--dim);padding:8px 14px;border-radius:6px 6px 0 0;
border-bottom:2px solid transparent}
nav button[aria-selected=true]{color:var(--ink);border-color:var(--accent)}
main{padding:16px 20px}
section[hidden]{display:none}
button,input,select,textarea{font:inherit;color:inherit}
input,select,textarea,.do{background:var(--panel);border:1px solid var(--line);border-radius:6px;
padding:5px 10px}
.do{cursor:pointer}.do:hover{border-color:var(--accent)}
.do.bad{color:var(--bad)}
:focus-visible{outline:2px solid var(--accent);outline-offset:1px}
.tools{display:flex;gap:8px;flex-wrap:wrap;align-items:center;margin-bottom:12px}
.tools input[type=search]{min-width:260px}
#banner{margin:12px 20px 0;padding:10px 14px;border-radius:8px;background:var(--badbg);
color:var(--bad);border:1px solid var(--bad);white-space:pre-wrap}
#banner[hidden]{display:none}
.split{display:flex;gap:16px;align-items:flex-start}
.split>:first-child{flex:1 1 60%;min-width:0}
.panel{background:var(--panel);border:1px solid var(--line);border-radius:8px}
#detail{flex:0 1 40%;padding:12px 14px;min-width:280px;position:sticky;top:8px}
#detail[hidden]{display:none}
.rows{height:calc(100vh - 230px);min-height:240px;overflow:auto;position:relative}
.row{display:grid;grid-template-columns:70px minmax(120px,1.4fr) 80px 80px 80px 80px
  minmax(120px,2fr);
gap:8px;padding:0 12px;height:28px;line-height:28px;border-bottom:1px solid var(--line);width:100%}
.row>*{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.row.head{position:sticky;top:0;background:var(--panel);z-index:1}
.row.head button{border:0;background:none;padding:0;text-align:left;color:var(--dim);cursor:pointer}
.list .row{position:absolute;left:0;cursor:pointer}
.list .row:hover,.row[aria-selected=true]{background:var(--bar)}
.number{text-align:right}
pre{background:var(--code);border-radius:6px;padding:8px 10px;overflow:auto;margin:6px 0;
white-space:pre-wrap;font:12.5px/1.5 ui-monospace,monospace}
h2{font-size:14px;margin:0 0 6px}
.dim{color:var(--dim)}
.group{padding:10px 14px;margin-bottom:10px}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(250px,1fr));gap:10px}
.plot{padding:8px 12px}.plot b{float:right}
.plot svg{display:block;width:100%;height:36px;margin-top:4px}
.plot div{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
#graph{width:100%;min-height:200px;overflow:auto}
#graph text{font-size:12px;fill:var(--ink)}
#flame{width:100%;height:70vh;border:1px solid var(--line);border-radius:8px;background:#fff}
select{max-width:100%}
textarea{width:100%;min-height:70px;font-family:ui-monospace,monospace}
#durable table,#workers table{border-collapse:collapse;width:100%}
#durable th,#durable td,#workers th,#workers td{padding:2px 12px 2px 0;text-align:left}
]=]
