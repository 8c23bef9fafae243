# How lme4 and R read formulas. Run: Rscript grammar.R > grammar.json
suppressMessages({library(jsonlite); library(lme4)})
random <- c(
  "y ~ Days + (Days | Subject)", "y ~ Days + (Days || Subject)", "y ~ (0 + Days | Subject)",
  "y ~ (Days - 1 | Subject)", "y ~ (1 | a/b)", "y ~ (1 | a/b/c)", "y ~ (x || a/b)", "y ~ (1 | a/b:c)",
  "y ~ (1 | a:b) + (x | c)", "y ~ (x*z || g)", "y ~ (0 + x || g)", "y ~ (1 + x + f || g)",
  "y ~ (x - 1 || g)", "y ~ (I(x^2) + poly(x, 2, raw = TRUE) | g)", "y ~ ((1 | g))",
  "y ~ x + (1 | g) + z + (0 + x | g)", "y ~ (I(x^2) + log(x) || g)", "y ~ (x:z | g)")
bars <- lapply(setNames(nm = random), function(f) {
  parts <- findbars(as.formula(f))
  list(terms = I(vapply(parts, function(p) paste0("(", paste(deparse(p), collapse = ""), ")"), "")),
       groups = I(vapply(parts, function(p) paste(deparse(p[[3]]), collapse = ""), "")))
})
fixed <- c(
  "y ~ x", "y ~ 0 + x", "y ~ x - 1", "y ~ x + 0", "y ~ 0 + x + 1", "y ~ -1 + x", "y ~ 1", "y ~ x*z", "y ~ x:z + x",
  "y ~ b + a:b", "y ~ a:b + b", "y ~ (a + b + c)^2", "y ~ (a + b + c)^2 - a:b", "y ~ a/b", "y ~ a/b/c", "y ~ (a + b)/c",
  "y ~ a/(b + c)", "y ~ a*b*c - a:b:c", "y ~ a %in% b", "y ~ b %in% a + b", "y ~ c + a*b + a", "y ~ (x + 0)*z",
  "y ~ a*b - (a + b)", "y ~ a + -b", "y ~ I(x^2) + x", "y ~ log(x):a + a", "y ~ (a*b)^2", "y ~ a:a + b", "y ~ x*1",
  "y ~ a - b + b:a", "y ~ -(x + 0)", "y ~ a + (b - a)", "y ~ (a + b)*(c + d)", "y ~ a*b %in% c")
terms_of <- lapply(setNames(nm = fixed), function(f) {
  t <- terms(as.formula(f))
  list(labels = I(attr(t, "term.labels")), intercept = attr(t, "intercept"))
})
set.seed(1)
d <- expand.grid(a = factor(1:3), b = factor(1:3), c = factor(1:3), r = 1:3)
d$y <- rnorm(nrow(d)); d$x <- rnorm(nrow(d))
flist <- lapply(setNames(nm = c("y ~ 1 + (1 | a/b/c)", "y ~ 1 + (x | a:b) + (1 | c)")), function(f)
  names(lFormula(as.formula(f), d)$reTrms$flist))
cat(toJSON(list(version = R.version.string, lme4 = as.character(packageVersion("lme4")), bars = bars,
  terms = terms_of, flist = flist), auto_unbox = TRUE, pretty = TRUE))
