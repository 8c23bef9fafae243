# Columns of R's formula functions, at fitting and for new data. Run: Rscript transforms.R > transforms.json
suppressMessages({library(jsonlite); library(splines)})
x <- c(0.5, 1.25, 2, 2.75, 3.1, 4.4, 5, 6.3, 7.7, 8, 9.2, 10.5)
new <- c(0.5, -1, 3.3, 7, 10.5, 12.25)
cases <- list(
  "poly(x, 3)" = poly(x, 3),
  "poly(x, 2, raw=TRUE)" = poly(x, 2, raw = TRUE),
  "scale(x)" = scale(x),
  "scale(x, scale=FALSE)" = scale(x, scale = FALSE),
  "scale(x, center=FALSE)" = scale(x, center = FALSE),
  "scale(x, center=2, scale=4)" = scale(x, center = 2, scale = 4),
  "ns(x)" = ns(x),
  "ns(x, df=3)" = ns(x, df = 3),
  "ns(x, df=4, intercept=TRUE)" = ns(x, df = 4, intercept = TRUE),
  "ns(x, knots=c(3, 6))" = ns(x, knots = c(3, 6)),
  "ns(x, df=3, Boundary.knots=c(1, 9))" = ns(x, df = 3, Boundary.knots = c(1, 9)),
  "bs(x)" = bs(x),
  "bs(x, df=5)" = bs(x, df = 5),
  "bs(x, df=6, intercept=TRUE)" = bs(x, df = 6, intercept = TRUE),
  "bs(x, df=4, degree=2)" = bs(x, df = 4, degree = 2),
  "bs(x, knots=c(3, 6), degree=1)" = bs(x, knots = c(3, 6), degree = 1),
  "bs(x, df=5, Boundary.knots=c(0, 11))" = bs(x, df = 5, Boundary.knots = c(0, 11)))
replay <- function(basis) {
  if (inherits(basis, c("poly", "ns", "bs"))) return(suppressWarnings(predict(basis, new)))
  centre <- attr(basis, "scaled:center"); scl <- attr(basis, "scaled:scale")
  base::scale(new, if (is.null(centre)) FALSE else centre, if (is.null(scl)) FALSE else scl)
}
plain <- function(m) unname(matrix(as.numeric(m), nrow = nrow(as.matrix(m))))
out <- suppressWarnings(lapply(cases, function(b) list(fit = plain(b), new = plain(replay(b)))))
rows <- list(
  "log(x, 2)" = log(x, 2), "log10(x)" = log10(x), "log1p(x)" = log1p(x), "I(x^2)" = x^2,
  "I(-x^2 + 1)" = -x^2 + 1, "sin(2*pi*x/365)" = sin(2 * pi * x / 365),
  "I(x %% 3)" = x %% 3, "I(x %/% 3)" = x %/% 3, "I((x > 3 & x < 8) * 1)" = (x > 3 & x < 8) * 1,
  "ifelse(x > 4, x, 4)" = ifelse(x > 4, x, 4), "I(x %in% c(2, 5))" = as.numeric(x %in% c(2, 5)),
  "I(x - mean(x))" = x - mean(x), "I(x / sd(x))" = x / sd(x), "pmax(x, 4)" = pmax(x, 4),
  "round(x, 1)" = round(x, 1), "plogis(x)" = plogis(x), "1000/x" = 1000 / x, "I(2^-x)" = 2^-x,
  "as.numeric(cut(x, 4))" = as.numeric(cut(x, 4)))
cuts <- list("cut(x, 4)" = cut(x, 4), "cut(x, c(0, 3, 6, 11))" = cut(x, c(0, 3, 6, 11)),
  "cut(x, c(0.5, 3, 6, 10.5), include.lowest=TRUE)" = cut(x, c(0.5, 3, 6, 10.5), include.lowest = TRUE),
  "cut(x, c(0, 3, 6, 11), right=FALSE)" = cut(x, c(0, 3, 6, 11), right = FALSE))
cat(toJSON(list(version = R.version.string, x = x, new = new, bases = out, rows = rows,
  cuts = lapply(cuts, function(f) list(levels = levels(f), codes = as.integer(f)))),
  digits = NA, auto_unbox = TRUE, pretty = FALSE))
