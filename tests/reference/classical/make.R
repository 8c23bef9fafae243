# Repeated-measures designs by car and afex, tables by error strata by aov().
# Run here: Rscript make.R. Writes data/*.csv and classical.json.
suppressMessages({library(car); library(afex); library(MASS); library(jsonlite)})
options(contrasts = c("contr.sum", "contr.poly"), warn = 1)
set.seed(20, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")

# --- data -------------------------------------------------------------------------------------

data(obk.long); data(md_12.1)
obk <- obk.long[, c("id", "treatment", "gender", "phase", "hour", "value")]
noise <- md_12.1

three <- expand.grid(condition = c("easy", "hard"), dose = c(0.5, 1, 2), eye = c("left", "right"),
                     subject = sprintf("s%02d", 1:13))
group <- rep(c("a", "b", "c"), c(3, 6, 4))
three$group <- group[as.integer(three$subject)]
loading <- matrix(rnorm(12 * 12, sd = 0.6), 12)
three$score <- 10 + 1.5 * rep(rnorm(13), each = 12) +
  as.vector(loading %*% matrix(rnorm(12 * 13), 12)) + 0.4 * (three$condition == "hard") +
  0.3 * three$dose * (three$group == "c") + rnorm(nrow(three), sd = 0.5)
three$score <- round(three$score, 3)

blocks <- expand.grid(A = c("a1", "a2", "a3"), B = c("b1", "b2"), block = paste0("k", 1:5),
                      plot = 1:2)
blocks$y <- round(20 + rnorm(5, sd = 2)[as.integer(blocks$block)] +
  rnorm(15)[as.integer(interaction(blocks$A, blocks$block))] +
  rnorm(10)[as.integer(interaction(blocks$B, blocks$block))] + as.integer(blocks$A) +
  rnorm(nrow(blocks)), 3)

square <- expand.grid(row = paste0("r", 1:5), column = paste0("c", 1:5), cup = 1:2)
square$brew <- LETTERS[(as.integer(square$row) + 2 * as.integer(square$column)) %% 5 + 1]
square$y <- round(rnorm(5)[as.integer(square$row)] + 2 * rnorm(5)[as.integer(square$column)] +
  as.integer(factor(square$brew)) / 2 + rnorm(50), 3)

pairs <- combn(4, 2)
incomplete <- data.frame(block = rep(paste0("b", 1:12), each = 2),
                         treat = paste0("t", as.vector(cbind(pairs, pairs))))
incomplete$y <- round(2 * rnorm(12)[as.integer(factor(incomplete$block))] +
  as.integer(factor(incomplete$treat)) + rnorm(24), 3)
incomplete$x <- round(rnorm(24), 3)

frames <- list(obk = obk, noise = noise, three = three, oats = oats, npk = npk, blocks = blocks,
               square = square, incomplete = incomplete)
for (name in names(frames)) {
  frames[[name]][] <- lapply(frames[[name]], function(x) if (is.factor(x)) as.character(x) else x)
  write.csv(frames[[name]], file.path("data", paste0(name, ".csv")), row.names = FALSE)
}
read <- function(name, factors) {
  d <- read.csv(file.path("data", paste0(name, ".csv")))
  for (f in factors) d[[f]] <- factor(d[[f]])
  d
}

# --- repeated measures ------------------------------------------------------------------------

plain <- function(m) {
  m <- unclass(m)
  list(rows = rownames(m), columns = lapply(split(t(m), colnames(m)), as.numeric))
}

multivariate <- function(a) {
  tests <- list(Pillai = stats:::Pillai, Wilks = stats:::Wilks,
                `Hotelling-Lawley` = stats:::HL, Roy = stats:::Roy)
  out <- list()
  for (term in a$terms) {
    eig <- Re(eigen(qr.coef(qr(a$SSPE[[term]]), a$SSP[[term]]), symmetric = FALSE)$values)
    out[[term]] <- lapply(tests, function(f) {
      v <- f(eig, a$df[[term]], a$error.df)
      c(v[1], v[2], v[3], v[4], pf(v[2], v[3], v[4], lower.tail = FALSE))
    })
  }
  out
}

repeated <- function(data, response, subject, within, between, type, observed) {
  cells <- do.call(expand.grid, rev(lapply(data[within], levels)))[, rev(seq_along(within)),
                                                                    drop = FALSE]
  names(cells) <- within
  key <- do.call(paste, c(cells, sep = "|"))
  wide <- tapply(data[[response]],
                 list(data[[subject]], factor(do.call(paste, c(data[within], sep = "|")), key)), mean)
  Y <- matrix(wide, nrow(wide), dimnames = NULL)
  people <- data[match(rownames(wide), data[[subject]]), between, drop = FALSE]
  model <- if (length(between)) {
    lm(as.formula(paste("Y ~", paste(between, collapse = "*"))), people)
  } else lm(Y ~ 1)
  a <- Anova(model, idata = cells, idesign = as.formula(paste("~", paste(within, collapse = "*"))),
             type = type)
  s <- suppressWarnings(summary(a, multivariate = FALSE))
  error <- sprintf("Error(%s/(%s))", subject, paste(within, collapse = "*"))
  groups <- if (length(between)) paste(between, collapse = "*") else "1"
  formula <- paste(response, "~", groups, "+", error)
  sizes <- function(observed) {
    m <- suppressMessages(suppressWarnings(
      aov_car(as.formula(formula), data, type = type, observed = observed,
              anova_table = list(es = c("ges", "pes"), correction = "none"))))
    m$anova_table[, c("ges", "pes")]
  }
  list(response = response, subject = subject, within = I(within), between = I(between),
       type = as.character(as.roman(type)),
       univariate = plain(s$univariate.tests),
       adjusted = if (length(s$pval.adjustments)) plain(s$pval.adjustments),
       mauchly = if (length(s$sphericity.tests)) plain(s$sphericity.tests),
       multivariate = if (!any(a$singular)) multivariate(a),
       effect_sizes = plain(as.matrix(sizes(NULL))),
       observed = I(observed),
       effect_sizes_observed = if (length(observed)) plain(as.matrix(sizes(observed))))
}

obk <- read("obk", c("id", "treatment", "gender", "phase", "hour"))
noise <- read("noise", c("id", "noise", "angle"))
three <- read("three", c("subject", "group", "condition", "dose", "eye"))
designs <- list(
  obk_III = c(list("obk"), list(repeated(obk, "value", "id", c("phase", "hour"),
                                         c("treatment", "gender"), 3, "gender"))),
  obk_II = c(list("obk"), list(repeated(obk, "value", "id", c("phase", "hour"),
                                        c("treatment", "gender"), 2, "gender"))),
  obk_one_group = c(list("obk"), list(repeated(obk, "value", "id", c("hour", "phase"),
                                               character(), 3, character()))),
  noise = c(list("noise"), list(repeated(noise, "rt", "id", c("angle", "noise"), character(), 3,
                                         character()))),
  three_III = c(list("three"), list(repeated(three, "score", "subject",
                                             c("condition", "dose", "eye"), "group", 3, "group"))),
  three_II = c(list("three"), list(repeated(three, "score", "subject",
                                            c("condition", "dose", "eye"), "group", 2, "group"))),
  singular = c(list("obk"), list(repeated(droplevels(obk[as.integer(as.character(obk$id)) <= 7, ]),
                                          "value", "id", c("phase", "hour"), character(), 3,
                                          character())))
)
designs <- lapply(designs, function(d) c(list(data = d[[1]]), d[[2]]))

# --- error strata -----------------------------------------------------------------------------

strata <- function(name, factors, formula, drop = integer()) {
  d <- read(name, factors)
  if (length(drop)) d <- d[-drop, ]
  s <- suppressWarnings(summary(aov(as.formula(formula), d)))
  if (!inherits(s, "summary.aov")) s <- unlist(unclass(s), recursive = FALSE)
  if (is.null(names(s))) names(s) <- rep("Error: Within", length(s))
  rows <- list()
  for (i in seq_along(s)) {
    t <- as.data.frame(unclass(s[[i]]), check.names = FALSE)
    attr(t, "row.names") <- attr(s[[i]], "row.names")
    for (r in seq_len(nrow(t))) {
      rows[[length(rows) + 1]] <- list(
        stratum = sub("^Error: ", "", names(s)[i]), term = trimws(rownames(s[[i]])[r]),
        df = t$Df[r], sum_sq = t$`Sum Sq`[r], mean_sq = t$`Mean Sq`[r],
        F = if ("F value" %in% names(t)) t$`F value`[r] else NA,
        p = if ("Pr(>F)" %in% names(t)) t$`Pr(>F)`[r] else NA)
    }
  }
  list(data = name, factors = factors, formula = formula, drop = I(drop), rows = rows)
}

tables <- list(
  npk = strata("npk", c("block", "N", "P", "K"), "yield ~ N*P*K + Error(block)"),
  npk_fixed = strata("npk", c("block", "N", "P", "K"), "yield ~ block + N*P*K"),
  npk_no_intercept = strata("npk", c("block", "N", "P", "K"), "yield ~ 0 + N*P + K"),
  oats = strata("oats", c("B", "V", "N"), "Y ~ N*V + Error(B/V)"),
  oats_crossed = strata("oats", c("B", "V", "N"), "Y ~ V*N + Error(B*V)"),
  oats_gaps = strata("oats", c("B", "V", "N"), "Y ~ N*V + Error(B/V)", drop = c(3, 17, 18, 40)),
  oats_gaps_crossed = strata("oats", c("B", "V", "N"), "Y ~ N + Error(B + V)",
                             drop = c(3, 17, 18, 40)),
  strip_plot = strata("blocks", c("A", "B", "block"), "y ~ A*B + Error(block/(A*B))"),
  strip_plot_transformed = strata("blocks", c("A", "B", "block"),
                                  "log(y) ~ A*B + Error(block/(A + B))"),
  latin_square = strata("square", c("row", "column", "brew"), "y ~ brew + Error(row + column)"),
  latin_square_crossed = strata("square", c("row", "column", "brew"), "y ~ brew + Error(row*column)"),
  incomplete_blocks = strata("incomplete", c("block", "treat"), "y ~ treat + Error(block)"),
  covariate = strata("incomplete", c("block", "treat"), "y ~ poly(x, 2) + treat + Error(block)"),
  obk = strata("obk", c("id", "treatment", "gender", "phase", "hour"),
               "value ~ treatment*gender*phase*hour + Error(id/(phase*hour))"),
  obk_no_strata = strata("obk", c("id", "treatment", "gender", "phase", "hour"),
                         "value ~ gender*treatment + phase")
)

versions <- sapply(c("car", "afex", "MASS"), function(p) as.character(packageVersion(p)))
write_json(list(r = R.version.string, packages = as.list(versions), designs = designs,
                strata = tables),
           "classical.json", digits = NA, auto_unbox = TRUE, na = "null", null = "null",
           pretty = FALSE)
