// Every page's: htmx, told to stay at home. What needs no package is in sentinel/console/static/base.js.
import htmx from "htmx.org/dist/htmx.esm.js";

htmx.config.history = false;
htmx.config.includeIndicatorCSS = false;
