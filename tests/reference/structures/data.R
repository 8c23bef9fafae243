# Writes data/*.csv and data/schema.json: Rscript data.R
# Orthodont, BodyWeight, Dialyzer and Ovary are nlme's (GPL version 2 or later), with rows dropped at
# random in the *_gaps ones; the others are simulated with all variances away from zero.
suppressMessages({library(nlme); library(jsonlite)})
RNGversion("4.2.0")

plain <- function(d) {
  d <- as.data.frame(d)
  for (column in names(d)) if (is.factor(d[[column]]))
    d[[column]] <- factor(as.character(d[[column]]), levels = sort(levels(d[[column]])))
  d
}
without <- function(d, share, seed) {
  set.seed(seed)
  droplevels(d[-sample(nrow(d), round(share * nrow(d))), ])
}

frames <- list()
d <- plain(Orthodont)
d$visit <- as.integer((d$age - 6) / 2)
frames$orthodont <- d
d <- without(d, 0.2, 41)
frames$orthodont_gaps <- d[sample(nrow(d)), ]   # and out of order
d <- plain(BodyWeight)
d$day <- d$Time / 10
frames$bodyweight <- d
frames$bodyweight_gaps <- without(d, 0.25, 42)
d <- plain(Dialyzer)
frames$dialyzer <- d
frames$dialyzer_gaps <- without(d, 0.2, 43)
d <- plain(Ovary)
d$sine <- sin(2 * pi * d$Time); d$cosine <- cos(2 * pi * d$Time)
frames$ovary <- d
frames$ovary_gaps <- without(d, 0.3, 44)

# ---- simulated: effects of every group from a covariance, several rows of most cells -------------
correlated <- function(n, S) matrix(rnorm(n * ncol(S)), n) %*% chol(S)
tidy <- function(d) { d$y <- round(d$y, 5); rownames(d) <- NULL; d }
code <- function(letter, i) factor(sprintf("%s%02d", letter, i))

set.seed(101)                     # 5 visits, 2 sessions each, 6 sites; a fifth of the rows missing
d <- expand.grid(session = 1:2, tnum = 1:5, subject = 1:36)
site <- rep(1:6, 6)
sd <- c(1, 1.3, 1.7, 1.5, 2)
S <- outer(sd, sd) * 0.65^abs(outer(1:5, 1:5, "-"))
b <- correlated(36, S); c1 <- rnorm(6, sd = 1.1); treated <- rep(0:1, 18)
d$y <- 10 + 0.5 * d$tnum + 0.8 * treated[d$subject] + b[cbind(d$subject, d$tnum)] +
  c1[site[d$subject]] + rnorm(nrow(d), sd = 0.9)
d$site <- code("c", site[d$subject]); d$trt <- factor(c("old", "new")[treated[d$subject] + 1], c("old", "new"))
d$visit <- factor(paste0("v", d$tnum)); d$subject <- code("s", d$subject)
frames$sessions <- without(tidy(d[c("subject", "site", "trt", "visit", "tnum", "session", "y")]), 0.2, 1)

set.seed(103)                     # 4 conditions at unequal depths, 3 readings, 30 wells
d <- expand.grid(reading = 1:3, cond = 1:4, well = 1:30)
depth <- c(0, 1, 2.5, 4)
sd <- c(1.2, 0.8, 1.4, 1.8)
S <- outer(sd, sd) * (0.25 * diag(4) + 0.75 * exp(-abs(outer(depth, depth, "-")) / 3))
b <- correlated(30, S)
d$x <- round(rnorm(nrow(d)), 3)
d$y <- 5 + 0.4 * d$x + c(0, 1, 0.5, 2)[d$cond] + b[cbind(d$well, d$cond)] + rnorm(nrow(d), sd = 0.7)
d$depth <- depth[d$cond]; d$cond <- factor(letters[d$cond]); d$well <- code("w", d$well)
frames$wells <- without(tidy(d[c("well", "cond", "depth", "x", "y")]), 0.25, 2)

set.seed(105)                     # 6 visits in irregular weeks, one or two assays, 8 clinics
d <- expand.grid(assay = 1:2, tnum = 1:6, patient = 1:56)
week <- c(0, 1, 3, 5, 9, 12)
S <- 1.6^2 * exp(-abs(outer(week, week, "-")) / 3)
b <- correlated(56, S); clinic <- rep(1:8, 7); c1 <- rnorm(8, sd = 1.3)
u <- correlated(56, matrix(c(1, 0.03, 0.03, 0.04), 2))
d$week <- week[d$tnum]
d$y <- 20 - 0.3 * d$week + b[cbind(d$patient, d$tnum)] + c1[clinic[d$patient]] + rnorm(nrow(d), sd = 0.9)
d$y2 <- round(20 - 0.3 * d$week + u[d$patient, 1] + u[d$patient, 2] * d$week * 1.5 +
  c1[clinic[d$patient]] + rnorm(nrow(d), sd = 1), 5)
d$clinic <- code("k", clinic[d$patient]); d$visit <- factor(paste0("v", d$tnum))
d$patient <- code("p", d$patient)
frames$clinics <- without(tidy(d[c("patient", "clinic", "visit", "tnum", "week", "y", "y2")]), 0.35, 3)

# `shared`: every field has the same layout; otherwise every place is its own
places <- function(seed, fields, plots, shared, size, range, sd, sigma, again) {
  set.seed(seed)
  layout <- function(n) cbind(east = round(runif(n, 0, size), 2), north = round(runif(n, 0, size), 2))
  at <- if (shared) layout(plots)[rep(seq_len(plots), fields), ] else layout(fields * plots)
  d <- data.frame(field = rep(seq_len(fields), each = plots), at)
  d$dose <- round(runif(nrow(d)), 3)
  D <- as.matrix(dist(at))
  e <- numeric(nrow(d))
  for (f in seq_len(fields)) {
    i <- which(d$field == f)
    e[i] <- drop(crossprod(chol(sd^2 * exp(-D[i, i] / range)), rnorm(length(i))))
  }
  twice <- sample(nrow(d), round(again * nrow(d)))
  d <- d[c(seq_len(nrow(d)), twice), ]; e <- e[c(seq_along(e), twice)]
  d$y <- 3 + 2 * d$dose + e + rnorm(nrow(d), sd = sigma)
  d$field <- code("f", d$field)
  tidy(d[order(d$field), ])
}
frames$fields <- without(places(107, 9, 7, FALSE, 8, 3, 1.4, 0.8, 0.9), 0.1, 4)
frames$plots <- without(places(109, 20, 9, TRUE, 6, 2, 1.1, 0.6, 0.6), 0.15, 5)
frames$stand <- without(places(111, 9, 15, TRUE, 12, 5, 2, 0.7, 0.7), 0.15, 6)

set.seed(113)                     # persons crossed with items, 3 conditions
d <- expand.grid(cond = 1:3, item = 1:14, person = 1:18)
d <- d[sample(nrow(d), 420), ]; d <- d[order(d$person, d$item, d$cond), ]
sd <- c(1, 1.4, 0.8)
b <- correlated(18, outer(sd, sd) * (0.4 * diag(3) + 0.6))
a <- correlated(14, diag(c(0.6, 1.1, 0.9)^2))
d$y <- 2 + 0.7 * d$cond + b[cbind(d$person, d$cond)] + a[cbind(d$item, d$cond)] + rnorm(nrow(d))
d$cond <- factor(letters[d$cond]); d$item <- code("i", d$item); d$person <- code("p", d$person)
frames$crossed <- tidy(d)

set.seed(115)                     # two treatments, a covariate that spreads the residuals, weights
d <- expand.grid(tnum = 1:7, unit = 1:32)
d$unit_trt <- rep(0:1, 16)[d$unit]
d$dose <- round(runif(nrow(d), 0.5, 3), 3)
d$w <- round(runif(nrow(d), 0.5, 2), 2)
C <- 0.55^abs(outer(1:7, 1:7, "-"))
e <- t(correlated(32, C)); b <- rnorm(32, sd = 1.2); block <- rep(1:8, each = 4); c1 <- rnorm(8, sd = 1.5)
d$y <- 4 + d$dose + d$unit_trt * 0.5 + b[d$unit] + c1[block[d$unit]] +
  as.vector(e) * d$dose^0.8 * c(1, 1.6)[d$unit_trt + 1] / sqrt(d$w)
d$trt <- factor(c("a", "b")[d$unit_trt + 1]); d$block <- code("b", block[d$unit]); d$unit <- code("u", d$unit)
frames$doses <- without(tidy(d[c("block", "unit", "trt", "tnum", "dose", "w", "y")]), 0.2, 7)

schema <- list()
for (name in names(frames)) {
  d <- frames[[name]]
  shown <- d
  for (column in names(d)) if (is.double(d[[column]]))
    shown[[column]] <- vapply(d[[column]], function(v) {
      for (digits in 15:17) if (as.numeric(s <- formatC(v, digits = digits, format = "g")) == v) return(trimws(s))
      s
    }, "")
  write.csv(shown, file.path("data", paste0(name, ".csv")), row.names = FALSE, quote = FALSE)
  schema[[name]] <- lapply(d, function(v) if (is.factor(v)) list(type = "factor", levels = I(levels(v)),
    ordered = FALSE) else list(type = if (is.integer(v)) "int" else "float"))
}
write(toJSON(schema, auto_unbox = TRUE), file.path("data", "schema.json"))
