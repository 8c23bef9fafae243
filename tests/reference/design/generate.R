# Model matrices and grouping factors as R builds them.
# Rscript generate.R   (in this folder; needs lme4 and jsonlite)
# Writes data.csv, matrices.json (model.matrix) and groups.json (lme4's grouping factors).
suppressMessages(library(lme4))
library(jsonlite)
library(splines)

set.seed(20)
n <- 48
d <- data.frame(
  y = round(rnorm(n), 4),
  x = round(rnorm(n), 4),
  z = round(runif(n, 1, 5), 4),
  k = rep(0:3, 12),
  a = factor(sample(c("lo", "mid", "hi"), n, TRUE), levels = c("lo", "mid", "hi")),
  b = factor(sample(c("n", "p"), n, TRUE)),
  o = factor(rep(c("o1", "o2", "o3", "o4"), 12), ordered = TRUE),
  flag = rnorm(n) > 0,
  g = factor(sample(letters[1:6], n, TRUE)),
  h = factor(sample(c("z", "y", "x"), n, TRUE), levels = c("z", "y", "x"))
)
# an empty cell of a and b
d$b[d$a == "mid"] <- "n"

formulas <- c(
  "1", "0 + x", "x", "a", "a + b", "a * b", "a:b", "a + a:b", "b + a:b", "b:a + x", "0 + a", "0 + a + b",
  "0 + a:b", "0 + x + a", "0 + x:a", "x:a", "x + x:a", "a * x", "x * a * b", "a + b + a:b + x:a", "(a + b + x)^2",
  "a * b - a", "a * b - 1", "x * z - x", "a %in% b", "a/b", "a/x", "x/a", "a:b:h", "a + a:b + a:h",
  "flag", "0 + flag", "flag * x", "flag:a", "0 + flag:x", "I(x > 0)", "o", "0 + o", "o * b", "a * o", "I(x^2)", "I(x * z)",
  "log(z)", "poly(x, 2)", "poly(x, 2) * a", "a:poly(x, 2)", "poly(z, 3, raw = TRUE)", "scale(x)", "ns(x, df = 3)",
  "bs(x, df = 5)", "ns(x, df = 3):b", "exp(x) + sqrt(z)", "factor(k)", "factor(k) * x", "C(a, contr.sum)", "C(a, contr.helmert) * b",
  "C(a, contr.sum):x", "0 + C(a, contr.sum) + b", "a:x + a:z", "x:z + a:x:z", "b + h + a:h + a:b:h"
)
one <- function(f, contrasts = NULL) {
  form <- as.formula(paste("~", f))
  m <- suppressWarnings(model.matrix(form, d, contrasts.arg = contrasts))
  q <- qr(m, tol = 1e-7)
  list(
    formula = f, contrasts = contrasts, columns = colnames(m), assign = attr(m, "assign"),
    terms = attr(terms(form), "term.labels"), values = unname(m),
    kept = sort(q$pivot[seq_len(q$rank)])
  )
}
out <- lapply(formulas, one)
out <- c(out, list(
  one("a * b", list(a = "contr.sum", b = "contr.sum")),
  one("a + x", list(a = "contr.helmert")),
  one("o", list(o = "contr.treatment")),
  one("0 + a * b", list(a = "contr.sum", b = "contr.helmert"))
))
write(toJSON(list(R = R.version.string, matrices = out), digits = 17, auto_unbox = TRUE, null = "null"), "matrices.json")

d$i <- rep(c(308, 309, 330, 12), length.out = n)
groups <- c("(1 | g)", "(1 | g:h)", "(1 | h:g)", "(1 | g/h)", "(1 | h/b/a)", "(1 | i)", "(1 | i:h)", "(1 | flag)", "(1 | o:g)",
            "(1 | a:b)", "(x | g) + (1 | g:h) + (1 | h)", "(1 | h) + (1 | g)", "(1 | b) + (1 | h) + (x | b)")
res <- lapply(groups, function(s) {
  form <- as.formula(paste("y ~ x +", s))
  fr <- lFormula(form, d, control = lmerControl(check.nobs.vs.nRE = "ignore", check.nlev.gtr.1 = "ignore"))
  re <- fr$reTrms
  list(formula = s, terms = lapply(seq_along(re$cnms), function(t) {
    f <- re$flist[[attr(re$flist, "assign")[t]]]
    list(group = names(re$cnms)[t], effects = I(re$cnms[[t]]), levels = levels(f), codes = as.integer(f) - 1L)
  }))
})
write(toJSON(list(lme4 = as.character(packageVersion("lme4")), groups = res), digits = 17, auto_unbox = TRUE), "groups.json")
write.csv(d, "data.csv", row.names = FALSE, quote = FALSE)
